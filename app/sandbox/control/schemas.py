"""The shapes of the control API, as JSON schemas."""

from __future__ import annotations

from typing import Any, Final

from app.sandbox.faults import KINDS

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
WHOLE: Final[Schema] = {"type": "integer"}
NUMBER: Final[Schema] = {"type": "number"}
YES_NO: Final[Schema] = {"type": "boolean"}
ANY_OBJECT: Final[Schema] = {"type": "object"}
EMPTY: Final[Schema] = {"type": "object", "maxProperties": 0}


def ref(name: str) -> Schema:
    """Point at a named shape."""
    return {"$ref": f"#/components/schemas/{name}"}


def listed(name: str) -> Schema:
    """Give a list of a named shape."""
    return {"type": "array", "items": ref(name)}


def maybe(schema: Schema) -> Schema:
    """Allow null."""
    return {"anyOf": [schema, {"type": "null"}]}


def shape(required: Schema, optional: Schema | None = None) -> Schema:
    """Give an object with exactly these fields."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": sorted(required),
        "additionalProperties": False,
    }


def _items(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


NEW_USER: Final = shape({"first_name": TEXT}, {"language_code": TEXT, "username": TEXT, "id": WHOLE})
NEW_TEXT: Final = shape({"text": TEXT}, {"reply_to_message_id": WHOLE})
NEW_FILE: Final = shape(
    {
        "file": {"type": "string", "format": "binary"},
        "kind": {"enum": ["audio", "document", "photo", "video", "voice"]},
    },
    {"caption": TEXT, "duration": WHOLE, "title": TEXT, "performer": TEXT},
)
NEW_PRESS: Final = shape({"message_id": WHOLE}, {"callback_data": TEXT, "text": TEXT, "force": YES_NO})
NEW_FAULT: Final = shape(
    {"method": TEXT, "kind": {"enum": list(KINDS)}},
    {
        "error_code": WHOLE,
        "description": TEXT,
        "retry_after": WHOLE,
        "delay_s": NUMBER,
        "times": WHOLE,
        "after": {**YES_NO, "description": "carry the call out before error, drop or bad_json"},
    },
)
RAW_UPDATE: Final[Schema] = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": ANY_OBJECT,
}
ADVANCE: Final = shape({"advance_s": {**NUMBER, "minimum": 0}})

_SPAN: Final = shape(
    {
        "span_id": TEXT,
        "parent_span_id": maybe(TEXT),
        "name": TEXT,
        "kind": {"enum": ["internal", "server", "client", "producer", "consumer"]},
        "service": TEXT,
        "start_ms": NUMBER,
        "duration_ms": NUMBER,
        "status": {"enum": ["ok", "error", "unset"]},
        "status_message": TEXT,
        "attributes": ANY_OBJECT,
        "events": _items(shape({"name": TEXT, "at_ms": NUMBER, "attributes": ANY_OBJECT})),
        "links": _items(shape({"trace_id": TEXT, "span_id": TEXT})),
    }
)
_LOG: Final = shape(
    {
        "at_ms": NUMBER,
        "severity": TEXT,
        "body": TEXT,
        "event_name": maybe(TEXT),
        "span_id": TEXT,
        "attributes": ANY_OBJECT,
    }
)
_TRACE_HEAD: Final[Schema] = {
    "trace_id": TEXT,
    "root": TEXT,
    "start_ms": NUMBER,
    "duration_ms": NUMBER,
    "status": {"enum": ["ok", "error", "unset"], "description": "of the root"},
    "failed": {**WHOLE, "description": "errors of the root and of SERVER and CONSUMER spans"},
    "running": {**YES_NO, "description": "a span's parent has not arrived yet"},
}

COMPONENTS: Final[dict[str, Schema]] = {
    "Error": shape({"error": TEXT}),
    "User": shape(
        {
            "id": WHOLE,
            "first_name": TEXT,
            "last_name": maybe(TEXT),
            "username": maybe(TEXT),
            "language_code": TEXT,
            "is_admin": YES_NO,
        }
    ),
    "Clock": shape({"now": NUMBER, "offset_s": NUMBER}),
    "State": shape(
        {
            "bots": _items(
                shape(
                    {
                        "id": WHOLE,
                        "username": TEXT,
                        "first_name": TEXT,
                        "webhook_url": maybe(TEXT),
                        "polling": {**YES_NO, "description": "it called getUpdates within the last minute"},
                        "pending_updates": WHOLE,
                    }
                )
            ),
            "users": listed("User"),
            "clock": ref("Clock"),
        }
    ),
    "Attachment": shape(
        {
            "kind": {"enum": ["audio", "document", "photo", "video", "voice"]},
            "file_id": TEXT,
            "file_name": maybe(TEXT),
            "mime_type": TEXT,
            "file_size": WHOLE,
            "duration": maybe(WHOLE),
            "title": maybe(TEXT),
            "performer": maybe(TEXT),
            "url": TEXT,
        }
    ),
    "Message": shape(
        {
            "message_id": WHOLE,
            "chat_id": WHOLE,
            "seq": WHOLE,
            "date": WHOLE,
            "edit_date": maybe(WHOLE),
            "author": {"enum": ["bot", "user"]},
            "text": maybe(TEXT),
            "entities": _items(ANY_OBJECT),
            "reply_to_message_id": maybe(WHOLE),
            "attachment": maybe(ref("Attachment")),
            "keyboard": maybe(_items(_items(ANY_OBJECT))),
            "trace_ids": _items(TEXT),
        }
    ),
    "Chat": shape({"seq": WHOLE, "messages": listed("Message")}),
    "Command": shape({"command": TEXT, "description": TEXT}),
    "Sent": shape({"update_id": maybe(WHOLE), "message_id": WHOLE}),
    "Pressed": shape({"update_id": maybe(WHOLE), "callback_query_id": TEXT}),
    "Queued": shape({"update_id": maybe(WHOLE)}),
    "Trace": shape(
        {**_TRACE_HEAD, "spans": _items(_SPAN), "logs": _items(_LOG), "linked_trace_ids": _items(TEXT)}
    ),
    "TraceLine": shape({**_TRACE_HEAD, "service": TEXT, "span_count": WHOLE}),
    "Calls": shape(
        {
            "calls": _items(
                shape(
                    {
                        "seq": WHOLE,
                        "method": TEXT,
                        "params": ANY_OBJECT,
                        "headers": ANY_OBJECT,
                        "status": WHOLE,
                        "bot_id": WHOLE,
                        "at": NUMBER,
                    }
                )
            )
        }
    ),
    "Fault": shape(
        {
            "id": WHOLE,
            "method": TEXT,
            "kind": {"enum": list(KINDS)},
            "error_code": WHOLE,
            "description": maybe(TEXT),
            "retry_after": maybe(WHOLE),
            "delay_s": NUMBER,
            "times": WHOLE,
            "after": YES_NO,
        }
    ),
    "Sample": shape({"title": TEXT, "url": TEXT}),
}
