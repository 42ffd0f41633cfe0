"""Doors to play a user: write, send a file, press a button, read the chat."""

from __future__ import annotations

import re
from typing import Final, cast, get_args

from aiohttp import web

from app.sandbox.bots import Bot
from app.sandbox.control import schemas
from app.sandbox.control.route import Route, bot_of, field, only, path_number, read_object, whole_number
from app.sandbox.entities import shown_entities, utf16_len
from app.sandbox.errors import ApiError, ControlError
from app.sandbox.methods.call import CAPTION_LIMIT, TEXT_LIMIT
from app.sandbox.methods.media import keep_upload
from app.sandbox.params import Params, read_params
from app.sandbox.render import user_view
from app.sandbox.state import FileKind, Json, Message, SandboxUser, StoredFile
from app.sandbox.world import World

_KINDS: Final = frozenset(get_args(FileKind)) - {"animation"}
_USER_ID_LIMIT: Final = 1 << 52


async def list_users(world: World, request: web.Request) -> list[Json]:
    """Give all users."""
    return [user_view(user) for user in world.users.values()]


async def add_user(world: World, request: web.Request) -> Json:
    """Let a new user in."""
    body = await read_object(request)
    only(body, "first_name", "language_code", "username", "id")
    user = SandboxUser(
        id=field(body, "id", int, max(world.users, default=1000) + 1),
        first_name=field(body, "first_name", str).strip(),
        username=field(body, "username", str, "") or None,
        language_code=field(body, "language_code", str, "en"),
    )
    if not 0 < user.id < _USER_ID_LIMIT or not 0 < len(user.first_name) <= 64:
        raise ControlError(400, "Give a first_name of 1 to 64 characters, and an id above 0 or none.")
    if user.username is not None and not re.fullmatch(r"[A-Za-z0-9_]{3,32}", user.username):
        raise ControlError(400, "A username has 3 to 32 letters, digits and underscores.")
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})?", user.language_code):
        raise ControlError(400, "The language_code must be one like 'en' or 'pt-BR'.")
    if user.id in world.users:
        raise ControlError(409, "There is a user with this id already: choose another id or none.")
    world.add_user(user)
    return user_view(user)


async def read_chat(world: World, request: web.Request) -> Json:
    """Give the messages of a chat that changed after `after_seq`, in the order of the chat."""
    user, bot = _who(world, request)
    after = whole_number(request, "after_seq", 0)
    messages = [m for m in bot.messages.values() if m.chat_id == user.id and m.seq > after]
    return {"seq": world.last_seq, "messages": [world.view(bot, message) for message in messages]}


async def commands(world: World, request: web.Request) -> list[Json]:
    """Give the commands that the user's app offers: the first list of these scopes and languages, as in Telegram."""
    user, bot = _who(world, request)
    scopes = (f"chat:{user.id}", "all_private_chats", "default")
    languages = (user.language_code.partition("-")[0], "")
    lists = (bot.profile.commands.get((scope, code)) for scope in scopes for code in languages)
    return next(filter(None, lists), [])


async def write(world: World, request: web.Request) -> Json:
    """Send a text as the user."""
    user, bot = _who(world, request)
    body = await read_object(request)
    only(body, "text", "reply_to_message_id")
    text = field(body, "text", str).strip()
    if not 0 < utf16_len(text) <= TEXT_LIMIT:
        raise ControlError(400, f"The text must have 1 to {TEXT_LIMIT} characters.")
    reply_to = field(body, "reply_to_message_id", int, 0) or None
    if reply_to is not None:
        _message(bot, reply_to)
    return _receive(world, bot, user, text, None, reply_to)


async def send_file(world: World, request: web.Request) -> Json:
    """Send a file as the user."""
    user, bot = _who(world, request)
    try:
        params = await read_params(request.headers, request.content, (), world.files)
    except ApiError as error:
        raise _as_control_error(error) from None
    try:
        caption = params.text("caption").strip()
        if utf16_len(caption) > CAPTION_LIMIT:
            raise ControlError(400, f"The caption must have at most {CAPTION_LIMIT} characters.")
        return _receive(world, bot, user, caption or None, _keep(world, bot, params), None)
    finally:
        world.files.drop(params.files.values())


def _keep(world: World, bot: Bot, params: Params) -> StoredFile:
    upload, kind = params.files.get("file"), params.text("kind")
    if upload is None or kind not in _KINDS:
        raise ControlError(
            400, f"Send multipart fields file, kind ({', '.join(sorted(_KINDS))}) and perhaps caption."
        )
    try:
        return keep_upload(world.files, bot.id, cast(FileKind, kind), upload, params.values)
    except ApiError as error:
        raise _as_control_error(error) from None


def _as_control_error(error: ApiError) -> ControlError:
    if error.code == 413:
        return ControlError(413, "The file is over 50 MB.")
    return ControlError(400, f"Telegram would refuse this: {error.description}.")


async def press(world: World, request: web.Request) -> Json:
    """Press a button as the user."""
    user, bot = _who(world, request)
    body = await read_object(request)
    only(body, "message_id", "callback_data", "text", "force")
    message_id = field(body, "message_id", int)
    data, label = field(body, "callback_data", str, ""), field(body, "text", str, "")
    if bool(data) == bool(label):
        raise ControlError(400, "Give either callback_data or the text of the button.")
    if field(body, "force", bool, False):
        if not data:
            raise ControlError(400, "A forced press needs callback_data.")
    else:
        message = _message(bot, message_id)
        data = _data_of_button(message, data, label) if message.chat_id == user.id else ""
        if not data:
            raise ControlError(
                409, "There is no such button on that message now; set force to press it all the same."
            )
    update_id, query_id = world.press(bot, user, message_id, data)
    return {"update_id": update_id, "callback_query_id": query_id}


def _data_of_button(message: Message, data: str, label: str) -> str:
    rows: list[list[Json]] = message.keyboard["inline_keyboard"] if message.keyboard else []
    for row in rows:
        for button in row:
            if "callback_data" in button and (button["text"] == label or button["callback_data"] == data):
                return str(button["callback_data"])
    return ""


async def read_message(world: World, request: web.Request) -> Json:
    """Give one message."""
    bot = bot_of(world, request)
    return world.view(bot, _message(bot, path_number(request, "message_id")))


def _message(bot: Bot, message_id: int) -> Message:
    message = bot.messages.get(message_id)
    if message is None:
        raise ControlError(404, "There is no such message: read the chat for the ones that are there.")
    return message


def _who(world: World, request: web.Request) -> tuple[SandboxUser, Bot]:
    return world.user(path_number(request, "uid")), bot_of(world, request)


def _receive(
    world: World, bot: Bot, user: SandboxUser, text: str | None, file: StoredFile | None, reply_to: int | None
) -> Json:
    message = Message(
        bot.next_message_id(),
        user.id,
        int(world.clock.now()),
        "user",
        text=text,
        entities=shown_entities(text, []) if text else [],
        attachment=file,
        reply_to=reply_to,
    )
    return {"update_id": world.receive(bot, message), "message_id": message.message_id}


_NO_USER: Final = (404, "no such user or bot")
_NO_MESSAGE: Final = (404, "no such message or bot")
ROUTES: Final = (
    Route("GET", "/sandbox/users", "All users", list_users, schemas.listed("User")),
    Route(
        "POST",
        "/sandbox/users",
        "Add a user",
        add_user,
        schemas.ref("User"),
        body=schemas.NEW_USER,
        errors=((400, "wrong fields"), (409, "the id is taken")),
    ),
    Route(
        "GET",
        "/sandbox/users/{uid}/messages",
        "Read the chat of a user with the bot",
        read_chat,
        schemas.ref("Chat"),
        query=(("after_seq", "only messages that changed after this seq"),),
        errors=(_NO_USER,),
    ),
    Route(
        "GET",
        "/sandbox/users/{uid}/commands",
        "The commands of the bot as the user's app offers them",
        commands,
        schemas.listed("Command"),
        errors=(_NO_USER,),
    ),
    Route(
        "POST",
        "/sandbox/users/{uid}/messages",
        "Send a text as the user",
        write,
        schemas.ref("Sent"),
        body=schemas.NEW_TEXT,
        errors=((400, "no text, or too long"), _NO_USER),
    ),
    Route(
        "POST",
        "/sandbox/users/{uid}/files",
        "Send a file as the user",
        send_file,
        schemas.ref("Sent"),
        body=schemas.NEW_FILE,
        body_type="multipart/form-data",
        errors=((400, "wrong fields, or a file that Telegram refuses"), _NO_USER, (413, "over 50 MB")),
    ),
    Route(
        "POST",
        "/sandbox/users/{uid}/presses",
        "Press a button as the user",
        press,
        schemas.ref("Pressed"),
        body=schemas.NEW_PRESS,
        errors=((400, "wrong fields"), _NO_USER, (409, "no such button on that message")),
    ),
    Route(
        "GET",
        "/sandbox/messages/{message_id}",
        "One message",
        read_message,
        schemas.ref("Message"),
        errors=(_NO_MESSAGE,),
    ),
)
