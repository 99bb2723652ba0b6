"""Where bytes are kept: in memory, in a folder, in Azure, S3 or Google Cloud."""
