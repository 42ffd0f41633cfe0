"""What a bot says of itself, and what it asks about chats, in the sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.kit.sandbox_client import ALICE, BORIS, Sandbox, running_sandbox

ALICE_USER = {"id": ALICE, "is_bot": False, "first_name": "Alice", "username": "alice", "language_code": "en"}
ALICE_CHAT = {"id": ALICE, "first_name": "Alice", "username": "alice", "type": "private"}


@pytest.fixture
async def box() -> AsyncIterator[Sandbox]:
    async with running_sandbox() as box:
        yield box


async def test_what_a_bot_says_of_itself(box: Sandbox) -> None:
    commands = [{"command": "start", "description": "Begin"}]
    russian = [{"command": "start", "description": "Начать"}]
    assert await box.result("setMyCommands", commands=commands) is True
    assert await box.result("setMyCommands", commands=russian, language_code="ru") is True
    chat = {"type": "chat", "chat_id": ALICE}
    assert await box.result("setMyCommands", commands=commands, scope=chat) is True
    assert await box.result("getMyCommands") == commands
    assert await box.result("getMyCommands", language_code="ru") == russian
    assert await box.result("getMyCommands", scope=chat) == commands
    assert await box.result("deleteMyCommands", scope=chat) is True
    assert await box.result("getMyCommands", scope=chat) == []
    assert await box.result("setMyName", name="Имя", language_code="ru") is True
    assert await box.result("getMyName", language_code="ru") == {"name": "Имя"}
    assert await box.result("getMyName", language_code="de") == {"name": "Sandbox Bot"}
    assert await box.result("setMyDescription", description="Does") is True
    assert await box.result("getMyDescription") == {"description": "Does"}
    assert await box.result("setMyShortDescription", short_description="") is True
    assert await box.result("getMyShortDescription") == {"short_description": ""}
    assert await box.result("getChatMenuButton") == {"type": "commands"}
    assert await box.result("setChatMenuButton", menu_button={"type": "default"}, chat_id=ALICE) is True
    assert await box.result("getChatMenuButton", chat_id=ALICE) == {"type": "default"}
    refusals: list[tuple[str, dict[str, Any], str]] = [
        ("setMyCommands", {"commands": "x"}, "can't parse commands JSON object"),
        ("setMyCommands", {"commands": [{"command": "UP", "description": "x"}]}, "BOT_COMMAND_INVALID"),
        (
            "setMyCommands",
            {"commands": [{"command": "x" * 33, "description": "x"}]},
            "command length must not exceed 32",
        ),
        (
            "setMyCommands",
            {"commands": [{"command": "x"}]},
            "can't parse BotCommand: Can't find field \"description\"",
        ),
        ("getMyCommands", {"language_code": "russian"}, "invalid language code specified"),
        (
            "getMyCommands",
            {"scope": {"type": "x"}},
            "can't parse BotCommandScope: Unsupported type specified",
        ),
        (
            "setChatMenuButton",
            {"menu_button": {"type": "x"}},
            "can't parse menu button: MenuButton has unsupported type",
        ),
    ]
    for method, params, refusal in refusals:
        assert await box.refusal(method, **params) == f"400 Bad Request: {refusal}"


async def test_a_users_app_offers_the_commands_of_the_narrowest_scope(box: Sandbox) -> None:
    async def register(name: str, **where: Any) -> None:
        commands = [{"command": name, "description": "x"}]
        assert await box.result("setMyCommands", commands=commands, **where)

    async def offered() -> list[str]:
        users = [await box.get(f"users/{user}/commands") for user in (ALICE, BORIS)]
        return [command["command"] for commands in users for command in commands]

    assert await offered() == []
    await register("all")
    await register("russian", language_code="ru")
    assert await offered() == ["all", "russian"]
    await register("private", scope={"type": "all_private_chats"})
    assert await offered() == ["private", "private"]
    await register("alice", scope={"type": "chat", "chat_id": ALICE})
    assert await offered() == ["alice", "private"]
    await box.result("deleteMyCommands", scope={"type": "chat", "chat_id": f"000{ALICE}"})
    assert await offered() == ["private", "private"]


@pytest.mark.parametrize(
    ("scope", "refusal"),
    [
        ({}, "can't parse BotCommandScope: Empty chat_id specified"),
        ({"chat_id": 5}, "chat not found"),
        ({"chat_id": [ALICE]}, "chat not found"),
        ({"chat_id": f"{ALICE:019}7"}, "chat not found"),
        ({"chat_id": ALICE}, "can't parse BotCommandScope: Invalid user_id specified"),
        ({"chat_id": ALICE, "user_id": "x"}, "can't parse BotCommandScope: Invalid user_id specified"),
        ({"chat_id": ALICE, "user_id": {}}, "can't parse BotCommandScope: Invalid user_id specified"),
        ({"chat_id": ALICE, "user_id": 7}, "PARTICIPANT_ID_INVALID"),
    ],
)
async def test_commands_are_kept_for_known_members_only(
    box: Sandbox, scope: dict[str, Any], refusal: str
) -> None:
    wanted = {"type": "chat_member", **scope}
    assert await box.refusal("setMyCommands", commands=[], scope=wanted) == f"400 Bad Request: {refusal}"


async def test_chats_members_actions_and_reactions(box: Sandbox) -> None:
    await box.write("hi")
    chat = await box.result("getChat", chat_id=ALICE)
    assert {name: chat[name] for name in ALICE_CHAT} == ALICE_CHAT
    member = await box.result("getChatMember", chat_id=ALICE, user_id=ALICE)
    assert member == {"user": ALICE_USER, "status": "member"}
    assert await box.result("sendChatAction", chat_id=ALICE, action="upload_voice") is True
    assert await box.result(
        "setMessageReaction", chat_id=ALICE, message_id=1, reaction=[{"type": "emoji", "emoji": "👍"}]
    )
    assert await box.result("sendMessageDraft", chat_id=ALICE, draft_id=1, text="thinking") is True
    assert await box.result("logOut") is True
    assert [message["text"] for message in await box.chat()] == ["hi"]
    refusals: list[tuple[str, dict[str, Any], str]] = [
        ("getChat", {"chat_id": 5}, "chat not found"),
        ("getChatMember", {"chat_id": ALICE, "user_id": BORIS}, "PARTICIPANT_ID_INVALID"),
        ("sendChatAction", {"chat_id": ALICE, "action": "dance"}, "wrong parameter action in request"),
        ("setMessageReaction", {"chat_id": ALICE, "message_id": 9}, "message to react not found"),
        (
            "copyMessage",
            {"chat_id": ALICE, "from_chat_id": ALICE, "message_id": 9},
            "message to copy not found",
        ),
        (
            "forwardMessage",
            {"chat_id": ALICE, "from_chat_id": ALICE, "message_id": 9},
            "message to forward not found",
        ),
    ]
    for method, params, refusal in refusals:
        assert await box.refusal(method, **params) == f"400 Bad Request: {refusal}"
