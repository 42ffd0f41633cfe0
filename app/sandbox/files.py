"""Uploads on disk, in one temporary folder that goes when the sandbox stops.

The folder keeps at most `KEEP_BYTES`; beyond that the oldest files are forgotten, and Telegram's own "temporarily
unavailable" is what a bot then reads.
"""

from __future__ import annotations

import mimetypes
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from app.sandbox.errors import entity_too_large
from app.sandbox.state import FileKind, MediaInfo, StoredFile

UPLOAD_LIMIT = 50 * 1024 * 1024
DOWNLOAD_LIMIT = 20 * 1024 * 1024
PHOTO_LIMIT = 10 * 1024 * 1024
LINK_LIFE_S = 3600.0
KEEP_BYTES = 2 * 1024 * 1024 * 1024

_PREFIX: dict[FileKind, str] = {
    "audio": "CQACAgIAAx",
    "voice": "AwACAgIAAx",
    "video": "BAACAgIAAx",
    "photo": "AgACAgIAAx",
    "document": "BQACAgIAAx",
    "animation": "CgACAgIAAx",
}
_FOLDER: dict[FileKind, str] = {
    "audio": "music",
    "voice": "voice",
    "video": "videos",
    "photo": "photos",
    "document": "documents",
    "animation": "animations",
}
_DEFAULT_MIME: dict[FileKind, str] = {
    "audio": "audio/mpeg",
    "voice": "audio/ogg",
    "video": "video/mp4",
    "photo": "image/jpeg",
    "document": "application/octet-stream",
    "animation": "video/mp4",
}
# Types that machines without a table of their own do not know.
_MEDIA_MIME = {
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".mkv": "video/x-matroska",
    ".mp3": "audio/mpeg",
    ".oga": "audio/ogg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".srt": "application/x-subrip",
    ".wav": "audio/x-wav",
    ".webm": "video/webm",
}


@dataclass(slots=True)
class Upload:
    """Bytes that arrive, still without a name at Telegram. `name` is what the sender called them."""

    path: Path
    name: str | None
    mime_type: str | None
    size: int = 0


class FileStore:
    """Keeps files for all bots; a file id is good for the bot that got it only."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._files: dict[str, StoredFile] = {}
        self._used_bytes = 0
        self._numbers = 0

    def open(self) -> None:
        """Make the folder."""
        self._folder = Path(tempfile.mkdtemp(prefix="sandbox-telegram-"))

    def close(self) -> None:
        """Remove the folder and everything in it."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None
        self._files.clear()

    def begin(self, name: str | None, mime_type: str | None) -> Upload:
        """Start an empty upload."""
        if self._folder is None:
            raise RuntimeError(
                "the file store is closed: use it between startup and cleanup of the application"
            )
        self._numbers += 1
        path = self._folder / str(self._numbers)
        path.touch()
        return Upload(path, name, mime_type)

    @staticmethod
    def append(upload: Upload, chunk: bytes) -> None:
        """Add bytes to the upload.

        Raises:
            ApiError: 413 when it grows over 50 MB.
        """
        upload.size += len(chunk)
        if upload.size > UPLOAD_LIMIT:
            raise entity_too_large()
        with upload.path.open("ab") as file:
            file.write(chunk)

    def keep(self, upload: Upload, bot_id: int, kind: FileKind, info: MediaInfo) -> StoredFile:
        """Give the upload a file id of that bot."""
        self._numbers += 1
        suffix = _suffix(upload, kind)
        disk_path = upload.path.rename(upload.path.with_name(f"kept-{self._numbers}"))
        stored = StoredFile(
            bot_id=bot_id,
            file_id=_PREFIX[kind] + secrets.token_urlsafe(32),
            unique_id="AgAD" + secrets.token_urlsafe(9),
            kind=kind,
            name=upload.name,
            mime_type=_mime_type(upload, kind),
            size=upload.size,
            info=info,
            disk_path=disk_path,
            file_path=f"{_FOLDER[kind]}/file_{self._numbers}{suffix}",
        )
        self._files[stored.file_id] = stored
        self._used_bytes += stored.size
        self._forget_oldest()
        return stored

    def drop(self, uploads: Iterable[Upload]) -> None:
        """Remove uploads that no message took."""
        for upload in uploads:
            upload.path.unlink(missing_ok=True)

    def find(self, file_id: str, bot_id: int | None = None) -> StoredFile | None:
        """Give the file, of any bot when `bot_id` is None."""
        stored = self._files.get(file_id)
        return stored if stored is not None and bot_id in (None, stored.bot_id) else None

    def find_path(self, bot_id: int, file_path: str, now: float) -> StoredFile | None:
        """Give the file behind a download link that is still alive."""
        for stored in self._files.values():
            if stored.bot_id == bot_id and stored.file_path == file_path:
                return stored if stored.granted_until >= now else None
        return None

    def _forget_oldest(self) -> None:
        while self._used_bytes > KEEP_BYTES:
            oldest = self._files.pop(next(iter(self._files)))
            self._used_bytes -= oldest.size
            oldest.disk_path.unlink(missing_ok=True)


def _mime_type(upload: Upload, kind: FileKind) -> str:
    """Give the type by the name, as the original does; what the sender claims comes second."""
    name = upload.name or ""
    by_name = _MEDIA_MIME.get(Path(name).suffix.lower()) or mimetypes.guess_type(name)[0]
    claimed = (upload.mime_type or "").partition(";")[0].strip().lower()
    if (
        not re.fullmatch(r"[a-z0-9.+-]{1,64}/[a-z0-9.+-]{1,64}", claimed)
        or claimed == "application/octet-stream"
    ):
        claimed = ""
    return by_name or claimed or _DEFAULT_MIME[kind]


def _suffix(upload: Upload, kind: FileKind) -> str:
    from_name = Path(upload.name or "").suffix.lower()
    if re.fullmatch(r"\.[a-z0-9]{1,8}", from_name):
        return from_name
    return (
        {"photo": ".jpg", "voice": ".oga"}.get(kind)
        or mimetypes.guess_extension(upload.mime_type or "")
        or ""
    )
