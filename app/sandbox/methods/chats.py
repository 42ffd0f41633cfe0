"""Methods about chats and what users do in them: presses, files, members, reactions."""

from __future__ import annotations

from typing import Final

from app.sandbox.entities import utf16_len
from app.sandbox.errors import bad_request
from app.sandbox.files import DOWNLOAD_LIMIT, LINK_LIFE_S
from app.sandbox.methods.call import Call, Handler
from app.sandbox.render import chat_json, file_json, user_json
from app.sandbox.state import Json

CALLBACK_TEXT_LIMIT: Final = 200
_REACTION_TYPES: Final = frozenset({"emoji", "custom_emoji"})


def answer_callback_query(call: Call) -> bool:
    """Answer a press, once and within 30 seconds."""
    text = call.params.text("text")
    if utf16_len(text) > CALLBACK_TEXT_LIMIT:
        raise bad_request("MESSAGE_TOO_LONG")
    query_id = call.params.text("callback_query_id")
    press = call.world.take_press(call.bot, query_id)
    if press is None:
        raise bad_request("query is too old and response timeout expired or query ID is invalid")
    told = {
        "bot_id": call.bot.id,
        "chat_id": press.chat_id,
        "callback_query_id": query_id,
        "text": text or None,
        "show_alert": call.params.boolean("show_alert"),
        "url": call.params.text("url") or None,
    }
    call.world.hub.publish("callback_answer", told)
    return True


def get_file(call: Call) -> Json:
    """Prepare a file for download; the link lives at least an hour."""
    file_id = call.params.text("file_id")
    if not file_id:
        raise bad_request("file_id not specified")
    stored = call.world.files.find(file_id, call.bot.id)
    if stored is None:
        raise bad_request("invalid file_id")
    if stored.size > DOWNLOAD_LIMIT:
        raise bad_request("file is too big")
    stored.granted_until = call.world.clock.now() + LINK_LIFE_S
    return {**file_json(stored), "file_path": stored.file_path}


def get_chat(call: Call) -> Json:
    """Give a private chat in full."""
    gifts = (
        "unlimited_gifts",
        "limited_gifts",
        "unique_gifts",
        "premium_subscription",
        "gifts_from_channels",
    )
    user = call.chat()
    return {
        **chat_json(user),
        **({"active_usernames": [user.username]} if user.username else {}),
        "accent_color_id": user.id % 7,
        "max_reaction_count": 11,
        "accepted_gift_types": dict.fromkeys(gifts, True),
    }


def get_chat_member(call: Call) -> Json:
    """Give one of the two members of a private chat."""
    chat = call.chat()
    user_id = call.params.integer("user_id")
    if user_id <= 0:
        raise bad_request("invalid user_id specified")
    if user_id == call.bot.id:
        return {"user": call.bot.user_json(), "status": "member"}
    if user_id == chat.id:
        return {"user": user_json(chat), "status": "member"}
    raise bad_request("PARTICIPANT_ID_INVALID")


def set_message_reaction(call: Call) -> bool:
    """Check a reaction, which the chat page does not show."""
    given = call.params.json("reaction", "can't parse reaction types JSON object") or []
    if not isinstance(given, list):
        raise bad_request("expected an Array of ReactionType")
    for reaction in given:
        if not isinstance(reaction, dict):
            raise bad_request("can't parse ReactionType: expected an Object")
        kind = reaction.get("type")
        if not isinstance(kind, str) or kind not in _REACTION_TYPES:
            raise bad_request("can't parse ReactionType: invalid reaction type specified")
    call.message(call.chat(), "message to react")
    if len(given) > 1:
        raise bad_request("REACTIONS_TOO_MANY")
    return True


METHODS: Final[dict[str, Handler]] = {
    "answerCallbackQuery": answer_callback_query,
    "getFile": get_file,
    "getChat": get_chat,
    "getChatMember": get_chat_member,
    "setMessageReaction": set_message_reaction,
}
