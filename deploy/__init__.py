"""The stack around the bot: one folder of configuration per program, and `native`, which runs them without containers."""
