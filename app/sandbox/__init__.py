"""A local Telegram: the Bot API, a chat page, a control API and an OTLP receiver on one port, all in memory.

It knows nothing of the bot that it hosts, so any bot on any library can be pointed at it.
"""
