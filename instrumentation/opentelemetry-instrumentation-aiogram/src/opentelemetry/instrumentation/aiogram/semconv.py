"""Every span name, metric, attribute and closed value set that this package emits, each with its source.

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

# https://opentelemetry.io/docs/specs/semconv/messaging/messaging-metrics/
MESSAGING_PROCESS_DURATION: Final = "messaging.process.duration"
MESSAGING_CLIENT_CONSUMED_MESSAGES: Final = "messaging.client.consumed.messages"

# --- RPC: https://opentelemetry.io/docs/specs/semconv/rpc/rpc-spans/
RPC_SYSTEM_NAME: Final = "rpc.system.name"
RPC_METHOD: Final = "rpc.method"
RPC_RESPONSE_STATUS_CODE: Final = "rpc.response.status_code"

RPC_SYSTEM_BOT_API: Final = "telegram_bot_api"
STATUS_OK: Final = "200"

# https://opentelemetry.io/docs/specs/semconv/rpc/rpc-metrics/
RPC_CLIENT_CALL_DURATION: Final = "rpc.client.call.duration"

# --- HTTP, which carries calls and files: https://opentelemetry.io/docs/specs/semconv/http/http-spans/
HTTP_REQUEST_METHOD: Final = "http.request.method"
HTTP_REQUEST_RESEND_COUNT: Final = "http.request.resend_count"
HTTP_RESPONSE_STATUS_CODE: Final = "http.response.status_code"
HTTP_RESPONSE_BODY_SIZE: Final = "http.response.body.size"

METHOD_GET: Final = "GET"
# The conventions would have the URL in the name or beside it: here the token is a part of it.
DOWNLOAD_SPAN_NAME: Final = "download file"

# --- Our own: https://core.telegram.org/bots/api gives `update`, `message_id` and `retry_after` their meaning
TELEGRAM_UPDATE_TYPE: Final = "telegram.update.type"
TELEGRAM_UPDATE_OUTCOME: Final = "telegram.update.outcome"
TELEGRAM_HANDLER: Final = "telegram.handler"
TELEGRAM_ROUTER: Final = "telegram.router"
TELEGRAM_ANSWER_METHOD: Final = "telegram.answer.method"
TELEGRAM_EVENT_ISOLATION_WAIT: Final = "telegram.event_isolation.wait"
TELEGRAM_ROUTING_REASON: Final = "telegram.routing.reason"
TELEGRAM_ROUTING_TRIED: Final = "telegram.routing.tried"
TELEGRAM_RETRY_AFTER: Final = "telegram.retry_after"
TELEGRAM_CHAT_TYPE: Final = "telegram.chat.type"
TELEGRAM_MESSAGE_ID: Final = "telegram.message.id"
TELEGRAM_MESSAGES_COUNT: Final = "telegram.messages.count"

UPDATE_TYPE_UNKNOWN: Final = "unknown"
ROUTER_UNNAMED: Final = "unnamed"

OUTCOME_HANDLED: Final = "handled"
OUTCOME_UNHANDLED: Final = "unhandled"
OUTCOME_CANCELLED: Final = "cancelled"
OUTCOME_ERROR: Final = "error"

# Why no handler took an update.
REASON_UNKNOWN_TYPE: Final = "unknown_type"
REASON_NO_HANDLERS: Final = "no_handlers"
REASON_FILTERS: Final = "filters"
REASON_MIDDLEWARE: Final = "middleware"
REASON_DECLINED: Final = "declined"

# Seconds. The boundaries that the conventions advise for durations.
DURATION_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)


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
