"""Every span name, attribute and closed value set that this package emits, each with its source.

Names of OpenTelemetry follow the semantic conventions 1.44.0, where messaging is in development and RPC a release
candidate; what they have no word for lives under `telegram.`, which is no namespace of OpenTelemetry.
"""

from typing import Final

SCOPE_NAME: Final = "opentelemetry.instrumentation.aiogram"
SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"

# --- General: https://opentelemetry.io/docs/specs/semconv/registry/attributes/
ERROR_TYPE: Final = "error.type"
CODE_FUNCTION_NAME: Final = "code.function.name"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"

# --- Messaging: https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
MESSAGING_SYSTEM: Final = "messaging.system"
MESSAGING_OPERATION_NAME: Final = "messaging.operation.name"
MESSAGING_OPERATION_TYPE: Final = "messaging.operation.type"
MESSAGING_DESTINATION_NAME: Final = "messaging.destination.name"
MESSAGING_MESSAGE_ID: Final = "messaging.message.id"

SYSTEM_TELEGRAM: Final = "telegram"
OPERATION_PROCESS: Final = "process"

# --- RPC: https://opentelemetry.io/docs/specs/semconv/rpc/rpc-spans/
RPC_SYSTEM_NAME: Final = "rpc.system.name"
RPC_METHOD: Final = "rpc.method"
RPC_RESPONSE_STATUS_CODE: Final = "rpc.response.status_code"

RPC_SYSTEM_BOT_API: Final = "telegram_bot_api"
STATUS_OK: Final = "200"

# --- Our own: https://core.telegram.org/bots/api gives `update`, `message_id` and `retry_after` their meaning
TELEGRAM_UPDATE_TYPE: Final = "telegram.update.type"
TELEGRAM_UPDATE_OUTCOME: Final = "telegram.update.outcome"
TELEGRAM_HANDLER: Final = "telegram.handler"
TELEGRAM_ROUTER: Final = "telegram.router"
TELEGRAM_RETRY_AFTER: Final = "telegram.retry_after"
TELEGRAM_MESSAGE_ID: Final = "telegram.message.id"
TELEGRAM_MESSAGES_COUNT: Final = "telegram.messages.count"

UPDATE_TYPE_UNKNOWN: Final = "unknown"
ROUTER_UNNAMED: Final = "unnamed"

OUTCOME_HANDLED: Final = "handled"
OUTCOME_UNHANDLED: Final = "unhandled"
OUTCOME_CANCELLED: Final = "cancelled"
OUTCOME_ERROR: Final = "error"


def update_span_name(update_type: str) -> str:
    """`{messaging.operation.name} {destination}`, as the messaging conventions want it."""
    return f"{OPERATION_PROCESS} {update_type}"


def handler_span_name(function: str) -> str:
    """`handle {function}`: aiogram's word for what a handler does, and the bare name of the handler."""
    return f"handle {function}"


def qualified_name(target: object) -> str:
    """`module.qualname` of a function or class; a builtin stays bare (`ValueError`), as in the SDK's `exception.type`."""
    module = getattr(target, "__module__", None)
    name: str = getattr(target, "__qualname__", type(target).__qualname__)
    return name if module in {None, "builtins"} else f"{module}.{name}"
