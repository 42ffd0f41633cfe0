"""The contract of the events: every name, its fields, and which of them are mandatory.

`docs/events.md` is generated from it. `cid` is not listed: it comes from the trace, and every event has it. An event
that breaks the contract fails the tests; in production the fields that nobody declared are left out of it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from app.errors import AppError


class Event(StrEnum):
    """What happened."""

    UPDATE_RECEIVED = "UPDATE_RECEIVED"
    COMMAND_RECEIVED = "COMMAND_RECEIVED"
    COMMAND_START = "COMMAND_START"
    CALLBACK_RECEIVED = "CALLBACK_RECEIVED"
    CALLBACK_ROUTED = "CALLBACK_ROUTED"
    CALLBACK_ACCEPTED = "CALLBACK_ACCEPTED"
    CALLBACK_REJECTED = "CALLBACK_REJECTED"
    UI_RENDER = "UI_RENDER"
    ANSWER_CALLBACK_QUERY = "ANSWER_CALLBACK_QUERY"
    TASK_CREATED = "TASK_CREATED"
    TASK_STARTED = "TASK_STARTED"
    TASK_RETRIED = "TASK_RETRIED"
    TASK_COMPLETED = "TASK_COMPLETED"
    TASK_FAILED = "TASK_FAILED"
    UPDATE_UNROUTED = "UPDATE_UNROUTED"
    UPDATE_SET_ASIDE = "UPDATE_SET_ASIDE"
    LOCK_ACQUIRED = "LOCK_ACQUIRED"
    LOCK_RELEASED = "LOCK_RELEASED"
    LOCK_LOST = "LOCK_LOST"
    DISPATCH_OK = "DISPATCH_OK"
    DISPATCH_FAIL = "DISPATCH_FAIL"


#: Every field that an event may have, and what it means. None is ever a person's words, name or raw Telegram id.
FIELDS: dict[str, str] = {
    "update_id": "Telegram's number of the update.",
    "update_type": "What kind of update it is, such as `message`; `other` for kinds that the bot does not ask for.",
    "door": "How it came in: `webhook` or `polling`.",
    "bot_state": "`ACTIVE` for the instance that processes updates, `PASSIVE` for one that only stores them.",
    "user_hash": "Keyed hash of the user's id.",
    "chat_hash": "Keyed hash of the chat's id.",
    "command": "The command without its slash; `other` for those that the bot does not have.",
    "callback_id": "Telegram's number of the press.",
    "screen_id": "The screen, by its name in the UI registry.",
    "button_id": "The button, by its name in the UI registry.",
    "buttons_count": "How many buttons the screen was shown with.",
    "handler": "The function that took it.",
    "outcome": "`handled`, `unhandled`, `rejected`, `duplicate` or `error`.",
    "reason_code": "Why it ended like that: one of the reason codes.",
    "reason_text": "The same for people: screens and buttons by name, never a person's words.",
    "tried": "Which routers and handlers were asked, in order, and which filter said no; names of the code alone.",
    "show_alert": "Whether the answer opened a window instead of a line.",
    "job_id": "Number of the job's row.",
    "job_cid": "Trace ID of the job.",
    "error_type": "Class of the exception.",
    "attempt": "How often the update or job was tried, this time included.",
    "retry_in_ms": "Milliseconds until the update is tried again.",
    "epoch": "The lease's fencing token.",
    "how": "Why the lease was to be had: `free` at the first start, `handed over`, or `expired`.",
    "silent_ms": "Milliseconds since the last heartbeat of the instance before.",
    "latency_ms": "Milliseconds from the start of the processing.",
}


@dataclass(frozen=True, slots=True)
class Terms:
    """What one event says: when it is emitted, the fields that it must have, and those that it may have."""

    meaning: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    level: int = logging.INFO


_WHO = ("user_hash", "chat_hash")

CONTRACT: dict[Event, Terms] = {
    Event.UPDATE_RECEIVED: Terms(
        "An update came in at the door; the trace begins here.",
        ("update_id", "update_type", "door", "bot_state"),
    ),
    Event.COMMAND_RECEIVED: Terms("A message begins with a command.", ("update_id", "command"), _WHO),
    Event.COMMAND_START: Terms("A person pressed Start, or came back to the menu.", ("update_id",)),
    Event.CALLBACK_RECEIVED: Terms("A button was pressed.", ("update_id", "callback_id"), _WHO),
    Event.CALLBACK_ROUTED: Terms(
        "The press is possible, and a handler takes it.", ("handler", "screen_id", "button_id")
    ),
    Event.CALLBACK_ACCEPTED: Terms("The handler did what the button says.", ("screen_id", "button_id")),
    Event.CALLBACK_REJECTED: Terms(
        "The press led to nothing; the reason says why.",
        ("reason_code", "reason_text"),
        ("screen_id", "button_id"),
        level=logging.WARNING,
    ),
    Event.UI_RENDER: Terms("A screen was shown.", ("screen_id", "buttons_count")),
    Event.ANSWER_CALLBACK_QUERY: Terms("The press was answered.", ("callback_id", "show_alert")),
    Event.TASK_CREATED: Terms("A job was queued.", ("job_id", "job_cid")),
    Event.TASK_STARTED: Terms("A worker took the job.", ("job_id", "attempt")),
    Event.TASK_RETRIED: Terms(
        "An attempt at the job failed; there will be another.",
        ("job_id", "attempt", "reason_code", "error_type"),
        level=logging.WARNING,
    ),
    Event.TASK_COMPLETED: Terms("A job's result was delivered.", ("job_id", "reason_code")),
    Event.TASK_FAILED: Terms(
        "A job ended without a result.", ("job_id", "reason_code", "error_type"), level=logging.WARNING
    ),
    Event.DISPATCH_OK: Terms(
        "The update was processed, or nothing wanted it.",
        ("update_id", "update_type", "outcome", "latency_ms"),
        ("reason_code",),
    ),
    Event.DISPATCH_FAIL: Terms(
        "The processing of the update failed.",
        ("update_id", "update_type", "error_type", "reason_code", "latency_ms"),
        ("attempt",),
        level=logging.ERROR,
    ),
    Event.UPDATE_UNROUTED: Terms(
        "No handler took the update; the event says which were asked.",
        ("update_id", "update_type", "reason_code", "reason_text", "tried"),
    ),
    Event.UPDATE_SET_ASIDE: Terms(
        "The update failed for the last time; it is kept for people to look at.",
        ("update_id", "update_type", "attempt", "error_type", "reason_code"),
        level=logging.ERROR,
    ),
    Event.LOCK_ACQUIRED: Terms("This instance is ACTIVE from now on.", ("epoch", "how", "silent_ms")),
    Event.LOCK_RELEASED: Terms("This instance stops, and gave the lease away.", ("epoch",)),
    Event.LOCK_LOST: Terms(
        "This instance was ACTIVE and is no longer: another took over, or the database was away.",
        ("epoch",),
        level=logging.WARNING,
    ),
}


class ContractBroken(AppError):
    """An event does not keep its contract."""


def breach(event: Event, fields: Mapping[str, object]) -> str:
    """What is wrong with an event's fields, or an empty text."""
    terms = CONTRACT[event]
    if tuple(fields) == terms.required:  # as it nearly always is
        return ""
    missing = [name for name in terms.required if name not in fields]
    undeclared = [name for name in fields if name not in terms.required and name not in terms.optional]
    if not missing and not undeclared:
        return ""
    return f"{event}: missing {missing}, undeclared {undeclared}"
