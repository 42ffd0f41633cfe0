"""The settings: declared once in `settings`, read once by the command line, then passed as values."""
