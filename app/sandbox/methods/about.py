"""Methods about the bot itself: getMe, commands, descriptions, the menu button."""

from __future__ import annotations

import re
from typing import Final

from app.sandbox.errors import bad_request
from app.sandbox.methods.call import Call, Handler
from app.sandbox.state import Json

_SCOPES: Final = frozenset({"default", "all_private_chats", "all_group_chats", "all_chat_administrators"})
_CHAT_SCOPES: Final = frozenset({"chat", "chat_administrators", "chat_member"})
_COMMANDS_LIMIT: Final = 100


def get_me(call: Call) -> Json:
    """Give the bot as a full User."""
    abilities = {
        "can_join_groups": False,
        "can_read_all_group_messages": False,
        "supports_inline_queries": False,
        "supports_guest_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
        "has_topics_enabled": False,
        "allows_users_to_create_topics": False,
        "can_manage_bots": False,
    }
    return {**call.bot.user_json(), **abilities}


def leave(call: Call) -> bool:
    """Answer logOut and close, which mean nothing here: the sandbox has one server."""
    return True


def _language(call: Call) -> str:
    code = call.params.text("language_code")
    if code and not re.fullmatch(r"[a-z]{2}", code):
        raise bad_request("invalid language code specified")
    return code


def _scope(call: Call) -> str:
    scope = call.params.json("scope", "can't parse BotCommandScope JSON object")
    if scope is None:
        return "default"
    if not isinstance(scope, dict):
        raise bad_request("can't parse BotCommandScope: BotCommandScope must be an Object")
    kind = scope.get("type")
    if isinstance(kind, str) and kind in _SCOPES:
        return kind
    if isinstance(kind, str) and kind in _CHAT_SCOPES:
        return _chat_scope(call, kind, scope)
    raise bad_request("can't parse BotCommandScope: Unsupported type specified")


def _chat_scope(call: Call, kind: str, scope: Json) -> str:
    if scope.get("chat_id", "") == "":
        raise bad_request("can't parse BotCommandScope: Empty chat_id specified")
    chat_id = _number(scope["chat_id"])
    if chat_id not in call.world.users:
        raise bad_request("chat not found")
    if kind != "chat_member":
        return f"{kind}:{chat_id}"
    user_id = _number(scope.get("user_id"))
    if user_id == 0:
        raise bad_request("can't parse BotCommandScope: Invalid user_id specified")
    if user_id not in call.world.users:
        raise bad_request("PARTICIPANT_ID_INVALID")
    return f"{kind}:{chat_id}:{user_id}"


def _number(given: object) -> int:
    raw = str(given)
    return int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 19 else 0


def _command(given: object) -> Json:
    if not isinstance(given, dict):
        raise bad_request("can't parse BotCommand: expected an Object")
    for field in ("command", "description"):
        if not isinstance(given.get(field), str):
            raise bad_request(f"can't parse BotCommand: Can't find field \"{field}\"")
    command, description = given["command"].strip().removeprefix("/"), given["description"].strip()
    if not command:
        raise bad_request("command must be non-empty")
    if len(command) > 32:
        raise bad_request("command length must not exceed 32")
    if not description:
        raise bad_request("command description must be non-empty")
    if len(description) > 256:
        raise bad_request("command description length must not exceed 256")
    if not re.fullmatch(r"[a-z0-9_]+", command):
        raise bad_request("BOT_COMMAND_INVALID")
    return {"command": command, "description": description}


def set_my_commands(call: Call) -> bool:
    """Remember commands for a scope and language."""
    given = call.params.json("commands", "can't parse commands JSON object") or []
    if not isinstance(given, list):
        raise bad_request("expected an Array of BotCommand")
    if len(given) > _COMMANDS_LIMIT:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    commands = [_command(item) for item in given]
    call.bot.profile.commands[_scope(call), _language(call)] = commands
    return True


def get_my_commands(call: Call) -> list[Json]:
    """Give the commands of exactly that scope and language."""
    return call.bot.profile.commands.get((_scope(call), _language(call)), [])


def delete_my_commands(call: Call) -> bool:
    """Forget the commands of that scope and language."""
    call.bot.profile.commands.pop((_scope(call), _language(call)), None)
    return True


def _profile_text(attribute: str, field: str, limit: int) -> tuple[Handler, Handler]:
    """Make the setter and the getter of a text that exists once per language."""

    def set_text(call: Call) -> bool:
        texts: dict[str, str] = getattr(call.bot.profile, attribute)
        value, language = call.params.text(field).strip(), _language(call)
        if len(value) > limit:
            raise bad_request(f"{field.replace('_', ' ')} is too long")
        if value:
            texts[language] = value
        else:
            texts.pop(language, None)
        return True

    def get_text(call: Call) -> Json:
        texts: dict[str, str] = getattr(call.bot.profile, attribute)
        default = call.bot.first_name if field == "name" else ""
        return {field: texts.get(_language(call)) or texts.get("", default)}

    return set_text, get_text


def set_chat_menu_button(call: Call) -> bool:
    """Remember the menu button of a chat, or of all chats."""
    button = call.params.json("menu_button", "can't parse menu button JSON object") or {"type": "default"}
    if not isinstance(button, dict):
        raise bad_request("can't parse menu button: MenuButton must be an Object")
    if button.get("type") not in ("default", "commands", "web_app"):
        raise bad_request("can't parse menu button: MenuButton has unsupported type")
    call.bot.profile.menu_buttons[_menu_chat(call)] = button
    return True


def get_chat_menu_button(call: Call) -> Json:
    """Give the menu button of a chat, or of all chats."""
    buttons = call.bot.profile.menu_buttons
    return buttons.get(_menu_chat(call)) or buttons.get(0) or {"type": "commands"}


def _menu_chat(call: Call) -> int:
    return call.chat().id if call.params.text("chat_id") else 0


_SET_NAME, _GET_NAME = _profile_text("names", "name", 64)
_SET_DESCRIPTION, _GET_DESCRIPTION = _profile_text("descriptions", "description", 512)
_SET_SHORT, _GET_SHORT = _profile_text("short_descriptions", "short_description", 120)

METHODS: Final[dict[str, Handler]] = {
    "getMe": get_me,
    "logOut": leave,
    "close": leave,
    "setMyCommands": set_my_commands,
    "getMyCommands": get_my_commands,
    "deleteMyCommands": delete_my_commands,
    "setMyName": _SET_NAME,
    "getMyName": _GET_NAME,
    "setMyDescription": _SET_DESCRIPTION,
    "getMyDescription": _GET_DESCRIPTION,
    "setMyShortDescription": _SET_SHORT,
    "getMyShortDescription": _GET_SHORT,
    "setChatMenuButton": set_chat_menu_button,
    "getChatMenuButton": get_chat_menu_button,
}
