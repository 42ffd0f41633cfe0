"""Methods that put messages into a chat."""

from __future__ import annotations

import secrets
from typing import Final

from app.sandbox.errors import bad_request
from app.sandbox.markup import inline_keyboard
from app.sandbox.methods.call import Call, Handler
from app.sandbox.methods.media import Media, media_of_call, media_of_json
from app.sandbox.render import user_json
from app.sandbox.state import FileKind, Json, Message, SandboxUser

ALBUM_LIMIT: Final = 10
# Media of these kinds fill an album alone.
_UNMIXED: Final = frozenset({"audio", "document"})
_ACTIONS: Final = frozenset(
    {
        "typing",
        "upload_photo",
        "record_video",
        "upload_video",
        "record_voice",
        "upload_voice",
        "record_audio",
        "upload_audio",
        "upload_document",
        "choose_sticker",
        "pick_up_location",
        "find_location",
        "record_video_note",
        "upload_video_note",
    }
)


def new_message(call: Call, chat: SandboxUser, reply_to: int | None = None) -> Message:
    """Number and date a message of the bot; it is in the chat only once the world has it."""
    return Message(call.bot.next_message_id(), chat.id, int(call.world.clock.now()), "bot", reply_to=reply_to)


def _replied(call: Call, chat: SandboxUser) -> int | None:
    given = call.params.json("reply_parameters", "can't parse reply parameters JSON object")
    wanted: object
    if given is None:
        wanted, lenient = (
            call.params.integer("reply_to_message_id"),
            call.params.boolean("allow_sending_without_reply"),
        )
    elif isinstance(given, dict):
        wanted, lenient = given.get("message_id"), given.get("allow_sending_without_reply") is True
    else:
        raise bad_request("object expected as reply parameters")
    if not wanted:
        return None
    message = call.bot.messages.get(wanted) if isinstance(wanted, int) else None
    if message is not None and message.chat_id == chat.id:
        return message.message_id
    if lenient:
        return None
    raise bad_request("message to be replied not found")


def send_message(call: Call) -> Json:
    """Send a text."""
    text, entities = call.text()
    keyboard = inline_keyboard(call.params)
    chat = call.chat()
    reply_to = _replied(call, chat)
    call.world.flood.take(call.bot.id, chat.id)
    message = new_message(call, chat, reply_to)
    message.text, message.entities, message.keyboard = text, entities, keyboard
    return call.world.json(call.bot, call.world.add_message(call.bot, message))


def _sender(kind: FileKind) -> Handler:
    def send_file(call: Call) -> Json:
        keyboard = inline_keyboard(call.params)
        chat = call.chat()
        reply_to = _replied(call, chat)
        media = media_of_call(call, kind)
        call.world.flood.take(call.bot.id, chat.id)
        message = new_message(call, chat, reply_to)
        fill(message, media)
        message.keyboard = keyboard
        return call.world.json(call.bot, call.world.add_message(call.bot, message))

    return send_file


def fill(message: Message, media: Media) -> None:
    """Put a file and its caption into a message."""
    message.attachment, message.spoiler = media.file, media.spoiler
    message.text, message.entities = media.caption, media.entities


def send_media_group(call: Call) -> list[Json]:
    """Send an album."""
    if not call.params.text("media"):
        raise bad_request('parameter "media" is required')
    given = call.params.json("media", "can't parse media JSON object")
    if not isinstance(given, list):
        raise bad_request("expected an Array of InputMedia")
    if not given:
        raise bad_request("there are no messages to send")
    if len(given) > ALBUM_LIMIT:
        raise bad_request("too many messages to send as an album")
    _check_album(given)
    chat = call.chat()
    reply_to = _replied(call, chat)
    album = [media_of_json(call, item) for item in given]
    call.world.flood.take(call.bot.id, chat.id, len(album))
    album_id = str(secrets.randbelow(9 * 10**16) + 10**16) if len(album) > 1 else None
    sent: list[Json] = []
    for media in album:
        message = new_message(call, chat, reply_to)
        message.album_id = album_id
        fill(message, media)
        sent.append(call.world.json(call.bot, call.world.add_message(call.bot, message)))
    return sent


def _check_album(given: list[object]) -> None:
    kinds = {str(item.get("type")) for item in given if isinstance(item, dict)}
    if "animation" in kinds:
        raise bad_request("can't parse InputMedia: type \"animation\" can't be used in sendMediaGroup")
    if len(kinds) > 1 and (unmixed := sorted(kinds & _UNMIXED)):
        raise bad_request(f"{unmixed[0]} can't be mixed with other media types")


def send_chat_action(call: Call) -> bool:
    """Show what the bot is doing."""
    action = call.params.text("action").lower()
    if action not in _ACTIONS:
        raise bad_request("wrong parameter action in request")
    told = {"bot_id": call.bot.id, "chat_id": call.chat().id, "action": action}
    call.world.hub.publish("chat_action", told)
    return True


def send_message_draft(call: Call) -> bool:
    """Check a draft, which the chat page does not show; it leaves no message, as in the original."""
    call.chat()
    if call.params.integer("draft_id") == 0:
        raise bad_request("invalid draft identifier specified")
    if call.params.text("text"):
        call.text()
    return True


def _source(call: Call, called: str) -> Message:
    origin = call.chat("from_chat_id")
    return call.message(origin, called)


def copy_message(call: Call) -> Json:
    """Send a message again without saying whose it was."""
    keyboard = inline_keyboard(call.params)
    chat = call.chat()
    source = _source(call, "message to copy")
    reply_to = _replied(call, chat)
    text, entities = source.text, source.entities
    if source.attachment is not None and "caption" in call.params.values:
        caption, entities = call.formatted("caption", "caption_entities")
        text = caption or None
    call.world.flood.take(call.bot.id, chat.id)
    message = new_message(call, chat, reply_to)
    message.text, message.entities, message.keyboard = text, list(entities), keyboard
    message.attachment, message.spoiler = source.attachment, source.spoiler
    call.world.add_message(call.bot, message)
    return {"message_id": message.message_id}


def forward_message(call: Call) -> Json:
    """Send a message on, with its origin."""
    chat = call.chat()
    source = _source(call, "message to forward")
    call.world.flood.take(call.bot.id, chat.id)
    author = call.bot.user_json() if source.author == "bot" else user_json(call.world.users[source.chat_id])
    message = new_message(call, chat)
    message.text, message.entities = source.text, list(source.entities)
    message.attachment, message.spoiler = source.attachment, source.spoiler
    origin = {"type": "user", "sender_user": author, "date": source.date}
    message.forward_origin = source.forward_origin or origin
    return call.world.json(call.bot, call.world.add_message(call.bot, message))


METHODS: Final[dict[str, Handler]] = {
    "sendMessage": send_message,
    "sendPhoto": _sender("photo"),
    "sendVideo": _sender("video"),
    "sendAudio": _sender("audio"),
    "sendVoice": _sender("voice"),
    "sendDocument": _sender("document"),
    "sendAnimation": _sender("animation"),
    "sendMediaGroup": send_media_group,
    "sendChatAction": send_chat_action,
    "sendMessageDraft": send_message_draft,
    "copyMessage": copy_message,
    "forwardMessage": forward_message,
}
