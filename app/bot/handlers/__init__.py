"""What the bot does, a module an area: parse, call, show. Handlers are strangers to one another."""
