"""The same message in two tongues: as the Bot API tells it to bots, and as the control API shows it to the page."""

from __future__ import annotations

from typing import Any

from app.sandbox.state import Json, Message, SandboxUser, StoredFile


def user_json(user: SandboxUser) -> Json:
    """Give a Bot API User."""
    optional = {"last_name": user.last_name, "username": user.username, "language_code": user.language_code}
    return {"id": user.id, "is_bot": False, "first_name": user.first_name, **_present(optional)}


def chat_json(user: SandboxUser) -> Json:
    """Give the Bot API Chat of a user's private chat."""
    names = {"first_name": user.first_name, "last_name": user.last_name, "username": user.username}
    return {"id": user.id, **_present(names), "type": "private"}


def user_view(user: SandboxUser) -> Json:
    """Give a User of the control API."""
    return {
        "id": user.id,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "username": user.username,
        "language_code": user.language_code,
        "is_admin": user.is_admin,
    }


def message_json(message: Message, user: SandboxUser, bot: Json, replied: Message | None) -> Json:
    """Give a Bot API Message; `bot` is the bot as a User, `replied` the message that it answers."""
    sender = bot if message.author == "bot" else user_json(user)
    body: Json = {
        "message_id": message.message_id,
        "from": sender,
        "chat": chat_json(user),
        "date": message.date,
    }
    optional = {
        "edit_date": message.edit_date,
        "forward_origin": message.forward_origin,
        "media_group_id": message.album_id,
    }
    body |= _present(optional)
    if replied is not None:
        body["reply_to_message"] = message_json(replied, user, bot, None)
    if message.attachment is not None:
        body |= _attachment_json(message.attachment)
        body |= {"has_media_spoiler": True} if message.spoiler else {}
    prefix = "caption_" if message.attachment is not None else ""
    if message.text:
        body["caption" if prefix else "text"] = message.text
        if message.entities:
            body[f"{prefix}entities"] = message.entities
    if message.keyboard is not None:
        body["reply_markup"] = message.keyboard
    return body


def message_view(message: Message, trace_ids: list[str]) -> Json:
    """Give a Message of the control API."""
    rows = message.keyboard["inline_keyboard"] if message.keyboard else None
    return {
        "message_id": message.message_id,
        "chat_id": message.chat_id,
        "seq": message.seq,
        "date": message.date,
        "edit_date": message.edit_date,
        "author": message.author,
        "text": message.text,
        "entities": message.entities,
        "reply_to_message_id": message.reply_to,
        "attachment": _attachment_view(message.attachment) if message.attachment else None,
        "keyboard": rows,
        "trace_ids": trace_ids,
    }


def file_json(file: StoredFile) -> Json:
    """Give the fields that every Bot API file object has."""
    return {"file_id": file.file_id, "file_unique_id": file.unique_id, "file_size": file.size}


def _attachment_json(file: StoredFile) -> Json:
    body, info = file_json(file), file.info
    sides = {"width": info.width, "height": info.height}
    named = {**_present({"file_name": file.name}), "mime_type": file.mime_type}
    duration = {"duration": info.duration or 0}
    match file.kind:
        case "photo":
            return {"photo": [{**body, **sides}]}
        case "video":
            return {"video": {**body, **sides, **duration, **named}}
        case "animation":
            # The original shows an animation as a document too, for old clients.
            return {"animation": {**body, **sides, **duration, **named}, "document": {**body, **named}}
        case "audio":
            told = _present({"title": info.title, "performer": info.performer})
            return {"audio": {**body, **duration, **told, **named}}
        case "voice":
            return {"voice": {**body, **duration, "mime_type": file.mime_type}}
        case "document":
            return {"document": {**body, **named}}


def _attachment_view(file: StoredFile) -> Json:
    kind: str = file.kind
    if kind == "animation":
        kind = "photo" if file.mime_type.startswith("image/") else "video"
    return {
        "kind": kind,
        "file_id": file.file_id,
        "file_name": file.name,
        "mime_type": file.mime_type,
        "file_size": file.size,
        "duration": file.info.duration,
        "title": file.info.title,
        "performer": file.info.performer,
        "url": f"/sandbox/files/{file.file_id}",
    }


def _present(fields: Json) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}
