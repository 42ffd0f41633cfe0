"""/debug: why did that button not work? For anyone but an admin the command does not exist."""

from __future__ import annotations

from aiogram import Router
from aiogram.filters import Command, CommandObject
from aiogram.types import BufferedInputFile, CallbackQuery, MaybeInaccessibleMessageUnion, Message

from app.bot import show
from app.bot.desk import Desk
from app.bot.filters import IsAdmin, Pressed
from app.bot.locales import say
from app.bot.registry import STANDS_ON, ButtonId, Press, ScreenId


async def debug(message: Message, command: CommandObject, desk: Desk, language: str) -> None:
    """`/debug` lists the last traces.

    With a trace ID, its beginning, a support code or an update_id it shows that trace; as a reply to a message of the
    bot, the trace that made or last changed the message.
    """
    query = (command.args or "").strip()
    if query:
        screen = await desk.about(language, query)
    elif message.reply_to_message is not None:
        screen = await desk.about_message(language, message.reply_to_message.message_id)
    else:
        screen = await desk.overview(language)
    await show.answer(message, screen)


async def debug_pressed(query: CallbackQuery, press: Press, desk: Desk, language: str) -> None:
    """The same, by the buttons of its screens."""
    if press.button is ButtonId.DEBUG_LOGS:
        await desk.debug_logs()
        await show.acknowledge(query, say(language, "debug_logs_on"))
        return
    await show.acknowledge(query)
    if press.button is ButtonId.SHOW_PICTURE:
        await _send_picture(query.message, press.argument, desk, language)
    else:
        await show.replace(query.message, await desk.pressed(language, press))


async def _send_picture(
    screen: MaybeInaccessibleMessageUnion | None, cid: str, desk: Desk, language: str
) -> None:
    """The waterfall as a photo, in answer to the screen that it was asked for on."""
    if not isinstance(screen, Message):
        return
    png = await desk.picture(cid)
    if png is None:
        await screen.reply(say(language, "debug_no_picture"))
    else:
        file = BufferedInputFile(png, f"trace-{cid[:8]}.png")
        await screen.reply_photo(file, caption=say(language, "result_caption", cid=cid))


def router(admin_ids: frozenset[int]) -> Router:
    """The router of this area."""
    area = Router(name="admin")
    admin = IsAdmin(admin_ids)
    area.message.register(debug, Command("debug"), admin)
    buttons = STANDS_ON[ScreenId.DEBUG] | STANDS_ON[ScreenId.DEBUG_TRACE]
    area.callback_query.register(debug_pressed, Pressed(*buttons), admin)
    return area
