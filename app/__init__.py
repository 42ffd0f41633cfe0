"""Tracegram: a Telegram bot whose every update is one trace."""

__version__ = "0.1.0"
