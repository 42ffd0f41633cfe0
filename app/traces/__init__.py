"""The flight recorder's memory beyond this process: traces in the database, for `/debug` after a restart."""
