"""The Telegram side: intake of updates, handlers, screens, texts, and the delivery of results."""
