"""The stack's real programs, built from source, with the bot before them."""
