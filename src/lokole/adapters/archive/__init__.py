"""The storage of a first Lokole's server: in Azure, or in a folder as its LOCAL provider has it."""
