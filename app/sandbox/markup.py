"""Keyboards: `reply_markup` read and checked as the original does.

Only inline keyboards stay with a message; the other three kinds are checked and forgotten, because the chat page
does not show them.
"""

from __future__ import annotations

from typing import Final

from app.sandbox.entities import checked_link
from app.sandbox.errors import ApiError, bad_request
from app.sandbox.params import Params
from app.sandbox.state import Json

DATA_LIMIT_BYTES: Final = 64
BUTTONS_LIMIT: Final = 100
# The fields that say what a button does, in the order in which the original looks for them.
_ACTIONS: Final = (
    "callback_game",
    "pay",
    "switch_inline_query",
    "switch_inline_query_chosen_chat",
    "switch_inline_query_current_chat",
    "login_url",
    "web_app",
    "copy_text",
    "disabled",
)
_STYLES: Final = frozenset({"", "danger", "success", "primary"})


def inline_keyboard(params: Params) -> Json | None:
    """Give the inline keyboard of a call, None when it has none.

    Raises:
        ApiError: 400, the keyboard is not one.
    """
    markup = params.json("reply_markup", "can't parse reply keyboard markup JSON object")
    if markup is None:
        return None
    if not isinstance(markup, dict):
        raise bad_request("object expected as reply markup")
    _check_rows(
        markup, "keyboard", "can't parse keyboard button: KeyboardButton must be a String or an Object"
    )
    rows = _check_rows(
        markup,
        "inline_keyboard",
        "can't parse inline keyboard button: InlineKeyboardButton must be an Object",
    )
    read = [[_button(button) for button in row] for row in rows]
    kept = [row for row in read if row]
    if sum(map(len, kept)) > BUTTONS_LIMIT:
        raise bad_request("reply markup is too long")
    return {"inline_keyboard": kept} if kept else None


def _check_rows(markup: Json, field: str, wrong_button: str) -> list[list[Json]]:
    rows = markup.get(field)
    if rows is None:
        return []
    if not isinstance(rows, list):
        raise bad_request(f'field "{field}" must be of type Array')
    for row in rows:
        if not isinstance(row, list):
            raise bad_request(f'field "{field}" must be an Array of Arrays')
        if not all(
            isinstance(button, dict) or (field == "keyboard" and isinstance(button, str)) for button in row
        ):
            raise bad_request(wrong_button)
    return rows


def _wrong_button(reason: str) -> ApiError:
    return bad_request(f"can't parse inline keyboard button: {reason}")


def _string(button: Json, field: str) -> str:
    value = button.get(field)
    if value is None:
        return ""
    if not isinstance(value, str | int | float):
        raise _wrong_button(f'Field "{field}" must be of type String')
    return str(value)


def _button(button: Json) -> Json:
    if "text" not in button:
        raise _wrong_button('Can\'t find field "text"')
    text, icon, style = (_string(button, field) for field in ("text", "icon_custom_emoji_id", "style"))
    if not text.strip():
        raise bad_request("inline keyboard button text must be non-empty")
    if style not in _STYLES:
        raise _wrong_button("invalid button style specified")
    look = {"icon_custom_emoji_id": icon, "style": style}
    return {"text": text, **{name: value for name, value in look.items() if value}, **_action(button)}


def _action(button: Json) -> Json:
    url, data = _string(button, "url"), _string(button, "callback_data")
    if url:
        link = checked_link(url)
        if link is None:
            raise bad_request(f"inline keyboard button URL '{url}' is invalid: Wrong HTTP URL")
        return {"url": link}
    if data:
        if len(data.encode()) > DATA_LIMIT_BYTES:
            raise bad_request("BUTTON_DATA_INVALID")
        return {"callback_data": data}
    for action in _ACTIONS:
        if action in button:
            return {action: button[action]}
    raise _wrong_button("Text buttons are unallowed in the inline keyboard")
