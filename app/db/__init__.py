"""Storage: one database for everything, PostgreSQL in production and SQLite on a laptop, behind one code path."""
