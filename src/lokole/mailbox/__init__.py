"""Who has which mail: accounts, folders, flags, search, packages, work. One schema, SQLite and PostgreSQL."""
