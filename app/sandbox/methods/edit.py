"""Methods that change or remove messages."""

from __future__ import annotations

from typing import Final

from app.sandbox.errors import bad_request
from app.sandbox.markup import inline_keyboard
from app.sandbox.methods.call import Call, Handler
from app.sandbox.methods.media import media_of_json
from app.sandbox.methods.send import fill
from app.sandbox.state import Json, Message

DELETE_LIFE_S: Final = 48 * 3600
_NOT_MODIFIED: Final = (
    "message is not modified: specified new message content and reply markup are exactly the same as a current content"
    " and reply markup of the message"
)


def _editable(call: Call) -> Message:
    params = call.params
    if not params.text("chat_id") and not params.integer("message_id"):
        raise bad_request(
            "MESSAGE_ID_INVALID"
            if params.text("inline_message_id")
            else "message identifier is not specified"
        )
    message = call.message(call.chat(), "message to edit")
    if message.author != "bot" or message.forward_origin is not None:
        raise bad_request("message can't be edited")
    return message


def _content(message: Message) -> tuple[object, ...]:
    file_id = message.attachment.file_id if message.attachment else None
    return message.text, message.entities, message.keyboard, file_id, message.spoiler


def _apply(call: Call, message: Message, changed: Message) -> Json:
    """Take over the content of `changed`, a detached message, if it differs."""
    if _content(message) == _content(changed):
        raise bad_request(_NOT_MODIFIED)
    call.world.flood.take(call.bot.id, message.chat_id)
    message.text, message.entities, message.keyboard = changed.text, changed.entities, changed.keyboard
    message.attachment, message.spoiler = changed.attachment, changed.spoiler
    message.edit_date = int(call.world.clock.now())
    call.world.show(call.bot, message)
    return call.world.json(call.bot, message)


def _draft(message: Message, keyboard: Json | None) -> Message:
    return Message(
        message.message_id,
        message.chat_id,
        message.date,
        "bot",
        text=message.text,
        entities=message.entities,
        attachment=message.attachment,
        spoiler=message.spoiler,
        keyboard=keyboard,
    )


def edit_message_text(call: Call) -> Json:
    """Change a text."""
    text, entities = call.text()
    keyboard = inline_keyboard(call.params)
    message = _editable(call)
    if message.attachment is not None:
        raise bad_request("there is no text in the message to edit")
    changed = _draft(message, keyboard)
    changed.text, changed.entities = text, entities
    return _apply(call, message, changed)


def edit_message_caption(call: Call) -> Json:
    """Change a caption."""
    caption, entities = call.formatted("caption", "caption_entities")
    keyboard = inline_keyboard(call.params)
    message = _editable(call)
    if message.attachment is None:
        raise bad_request("there is no caption in the message to edit")
    changed = _draft(message, keyboard)
    changed.text, changed.entities = caption or None, entities
    return _apply(call, message, changed)


def edit_message_media(call: Call) -> Json:
    """Change the file of a message, or give a text message one."""
    given = call.params.json("media", "can't parse input media JSON object")
    keyboard = inline_keyboard(call.params)
    message = _editable(call)
    changed = _draft(message, keyboard)
    fill(changed, media_of_json(call, given))
    return _apply(call, message, changed)


def edit_message_reply_markup(call: Call) -> Json:
    """Change the keyboard only."""
    keyboard = inline_keyboard(call.params)
    message = _editable(call)
    return _apply(call, message, _draft(message, keyboard))


def delete_message(call: Call) -> bool:
    """Remove one message."""
    if not call.params.text("chat_id"):
        raise bad_request("chat identifier is not specified")
    if not call.params.integer("message_id"):
        raise bad_request("message identifier is not specified")
    message = call.message(call.chat(), "message to delete")
    if call.world.clock.now() - message.date > DELETE_LIFE_S:
        raise bad_request("message can't be deleted for everyone")
    call.world.delete_message(call.bot, message)
    return True


def delete_messages(call: Call) -> bool:
    """Remove up to 100 messages; the ones that are not there are skipped."""
    if not call.params.text("message_ids"):
        raise bad_request("message identifiers are not specified")
    given = call.params.json("message_ids", "can't parse message_ids JSON object")
    if not isinstance(given, list):
        raise bad_request("expected an Array of message identifiers")
    if len(given) > 100:
        raise bad_request("too many message identifiers specified")
    chat = call.chat()
    for message_id in given:
        if not isinstance(message_id, int) or isinstance(message_id, bool):
            raise bad_request("message identifier must be a Number")
        if message_id <= 0:
            raise bad_request("invalid message identifier specified")
    for message_id in given:
        message = call.bot.messages.get(message_id)
        if message is not None and message.chat_id == chat.id and _is_young(call, message):
            call.world.delete_message(call.bot, message)
    return True


def _is_young(call: Call, message: Message) -> bool:
    return call.world.clock.now() - message.date <= DELETE_LIFE_S


METHODS: Final[dict[str, Handler]] = {
    "editMessageText": edit_message_text,
    "editMessageCaption": edit_message_caption,
    "editMessageMedia": edit_message_media,
    "editMessageReplyMarkup": edit_message_reply_markup,
    "deleteMessage": delete_message,
    "deleteMessages": delete_messages,
}
