"""Secrets that stand in files, one a setting: the folder is named by `SECRETS_DIR`, which is read from the environment only."""

from __future__ import annotations

import os
from pathlib import Path

from app.errors import ConfigError

#: Where container engines put what they call secrets.
_DEFAULT = "/run/secrets"


def secrets_dir() -> Path | None:
    """The folder; None when the default one is not there. Raises `ConfigError` when the one that was named is not."""
    given = os.environ.get("SECRETS_DIR", "")
    folder = Path(given or _DEFAULT)
    if folder.is_dir():
        return folder
    if given:
        raise ConfigError(
            "SECRETS_DIR: no such folder. Name one with a file for each secret, or leave it out."
        )
    return None


def unreadable(folder: Path | None, error: Exception) -> Exception:
    """What to raise for an error of reading the settings: a `ConfigError` if a file may not be read, else itself.

    A file that is mounted belongs to whoever owns it outside, so this is the ordinary mistake.
    """
    cause = error.__cause__
    if not isinstance(cause, OSError):
        return error
    return ConfigError(
        f"SECRETS_DIR: cannot read a file in {folder} ({os.strerror(cause.errno or 0).lower()}). "
        "The user that runs this process must be allowed to."
    )
