"""Alertmanager's configuration for one machine: the file of the repository with other addresses and paths.

Alertmanager reads nothing from the environment, so the file is rewritten; each piece that is replaced must be there.
"""

from __future__ import annotations

from pathlib import Path


def here(configuration: str, secrets: Path, *, bot_api: str = "", bot: str = "") -> str:
    """The configuration with its secrets in the folder `secrets`, and, where given, the addresses of Bot API and bot.

    `secrets` has to hold the files `bot_token` and `alert_chat_id` when a message is sent. Raises `LookupError` when the
    configuration does not hold what is to be replaced.
    """
    pieces = {"/run/secrets/": f"{secrets}/"}
    if bot_api:
        pieces["https://api.telegram.org"] = bot_api
    if bot:
        pieces["http://bot-1:8080"] = bot
    for piece, instead in pieces.items():
        if piece not in configuration:
            raise LookupError(f"{piece} is not in the configuration of Alertmanager")
        configuration = configuration.replace(piece, instead)
    return configuration
