"""What we ask of the outside world: one protocol per file, its docstring is the contract."""
