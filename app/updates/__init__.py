"""Durable intake: the inbox of updates, their order per chat, and which instance processes them."""
