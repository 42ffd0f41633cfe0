"""Files in calls: an upload, `attach://` of a multipart part, or a file id that the bot already knows.

URLs are refused: the sandbox fetches nothing from anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from app.sandbox.errors import bad_request
from app.sandbox.files import PHOTO_LIMIT, FileStore, Upload
from app.sandbox.images import picture_size
from app.sandbox.methods.call import Call
from app.sandbox.state import FileKind, Json, MediaInfo, StoredFile

KINDS: Final[tuple[FileKind, ...]] = ("audio", "voice", "video", "photo", "document", "animation")
_TYPE_NAMES: Final[Mapping[FileKind, str]] = {
    "audio": "Audio",
    "voice": "VoiceNote",
    "video": "Video",
    "photo": "Photo",
    "document": "Document",
    "animation": "Animation",
}
_PHOTO_SIDES_LIMIT: Final = 10_000
_PHOTO_RATIO_LIMIT: Final = 20


@dataclass(frozen=True, slots=True)
class Media:
    """A file ready to be sent, with its caption."""

    file: StoredFile
    caption: str | None
    entities: list[Json]
    spoiler: bool


def media_of_call(call: Call, kind: FileKind) -> Media:
    """Read the file of sendAudio and its like, where the field is named after the kind."""
    caption, entities = call.formatted("caption", "caption_entities")
    file = _stored(call, kind, kind, call.params.text(kind), call.params.values)
    return Media(file, caption or None, entities, call.params.boolean("has_spoiler"))


def media_of_json(call: Call, given: object) -> Media:
    """Read an InputMedia object."""
    if not isinstance(given, dict):
        raise bad_request("can't parse InputMedia: expected an Object")
    kind = given.get("type")
    if not isinstance(kind, str):
        raise bad_request("can't parse InputMedia: Can't find field \"type\"")
    if kind not in KINDS or kind == "voice":
        raise bad_request(f'can\'t parse InputMedia: type "{kind[:64]}" is unsupported')
    value = given.get("media")
    if not isinstance(value, str) or not value:
        raise bad_request("can't parse InputMedia: media not found")
    source, mode = str(given.get("caption") or ""), str(given.get("parse_mode") or "")
    caption, entities = call.format(source, mode, given.get("caption_entities"), is_text=False)
    options = {name: str(given[name]) for name in given}
    file = _stored(call, cast(FileKind, kind), "", value, options)
    return Media(file, caption or None, entities, given.get("has_spoiler") is True)


def _stored(call: Call, kind: FileKind, field: str, value: str, options: Mapping[str, str]) -> StoredFile:
    if value and not value.startswith("attach://"):
        return _known(call, kind, value)
    upload = call.params.upload(field, value)
    if upload is None:
        raise bad_request(f"there is no {kind} in the request")
    return keep_upload(call.world.files, call.bot.id, kind, upload, options)


def _known(call: Call, kind: FileKind, file_id: str) -> StoredFile:
    stored = call.world.files.find(file_id, call.bot.id)
    if stored is None:
        raise bad_request("wrong file identifier/HTTP URL specified")
    if stored.kind != kind:
        raise bad_request(f"can't use file of type {_TYPE_NAMES[stored.kind]} as {_TYPE_NAMES[kind]}")
    return stored


def keep_upload(
    files: FileStore, bot_id: int, kind: FileKind, upload: Upload, options: Mapping[str, str]
) -> StoredFile:
    """Check an upload as the original does and give it a file id.

    Raises:
        ApiError: 400, the file is empty, too big, or no picture.
    """
    if upload.size == 0:
        raise bad_request("file must be non-empty")
    info = MediaInfo(
        duration=_number(options.get("duration")) or None,
        title=options.get("title") or None,
        performer=options.get("performer") or None,
        width=_number(options.get("width")),
        height=_number(options.get("height")),
    )
    if kind == "photo":
        info = _photo_info(upload)
    # One part may be used by several media of an album; the name on disk moves only once.
    if not upload.path.exists():
        raise bad_request("wrong file identifier/HTTP URL specified")
    return files.keep(upload, bot_id, kind, info)


def _photo_info(upload: Upload) -> MediaInfo:
    if upload.size > PHOTO_LIMIT:
        raise bad_request("file is too big")
    sides = picture_size(upload.path)
    if sides is None:
        raise bad_request("IMAGE_PROCESS_FAILED")
    width, height = sides
    small, large = min(sides), max(sides)
    if width + height > _PHOTO_SIDES_LIMIT or small == 0 or large > _PHOTO_RATIO_LIMIT * small:
        raise bad_request("PHOTO_INVALID_DIMENSIONS")
    return MediaInfo(width=width, height=height)


def _number(raw: str | None) -> int:
    return int(raw) if raw and raw.isascii() and raw.isdigit() and len(raw) < 10 else 0
