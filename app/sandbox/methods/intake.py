"""Methods by which a bot gets its updates: getUpdates and the webhook."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from app.sandbox.errors import ApiError, bad_request
from app.sandbox.methods.call import Answer, Call, Handler
from app.sandbox.state import Json, Webhook
from app.sandbox.updates import CONFLICT_SET_WEBHOOK, LONG_POLL_LIMIT_S

_CONFLICT_WEBHOOK: Final = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"


async def get_updates(call: Call) -> list[Json]:
    """Give the updates that wait, or wait for one."""
    if call.bot.webhook is not None:
        raise ApiError(409, _CONFLICT_WEBHOOK)
    _remember_allowed(call)
    limit = min(max(call.params.integer("limit", 100), 1), 100)
    timeout_s = min(max(call.params.integer("timeout"), 0), LONG_POLL_LIMIT_S)
    return await call.bot.updates.poll(call.params.integer("offset"), limit, timeout_s, call.world.closing)


def _remember_allowed(call: Call) -> None:
    """Take over `allowed_updates`; as in the original, what cannot be read changes nothing."""
    try:
        types = call.params.json("allowed_updates", "")
    except ApiError:
        return
    if isinstance(types, list):
        call.bot.updates.allow(str(item).lower() for item in types)


def set_webhook(call: Call) -> Answer:
    """Send updates to a URL from now on; an empty URL ends that.

    Plain http is taken as well as https: the bots of a sandbox run beside it.
    """
    url = call.params.text("url").strip()
    if not url:
        return delete_webhook(call)
    _check_webhook_url(url)
    secret = call.params.text("secret_token")
    if len(secret) > 256:
        raise bad_request("secret token is too long")
    if not re.fullmatch(r"[A-Za-z0-9_-]*", secret):
        raise bad_request("secret token contains unallowed characters")
    webhook = Webhook(
        url=url,
        secret_token=secret,
        max_connections=min(max(call.params.integer("max_connections", 40), 1), 100),
        ip_address=call.params.text("ip_address"),
        has_certificate="certificate" in call.params.files,
    )
    _remember_allowed(call)
    drop = call.params.boolean("drop_pending_updates")
    if webhook == call.bot.webhook and not drop:
        return Answer(True, "Webhook is already set")
    if drop:
        call.bot.updates.clear()
    call.bot.updates.end_polls(CONFLICT_SET_WEBHOOK)
    call.bot.webhook, call.bot.webhook_error = webhook, None
    call.world.webhook_changed(call.bot)
    return Answer(True, "Webhook was set")


def _check_webhook_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        named = False
        parts = urlsplit("")
    if not named or re.search(r"[\s\x00-\x1f]", url) or len(url) > 2048:
        raise bad_request("invalid webhook URL specified")
    if parts.scheme not in ("http", "https"):
        raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")


def delete_webhook(call: Call) -> Answer:
    """Send updates nowhere; they wait for getUpdates."""
    if call.params.boolean("drop_pending_updates"):
        call.bot.updates.clear()
    if call.bot.webhook is None:
        return Answer(True, "Webhook is already deleted")
    call.bot.webhook, call.bot.webhook_error = None, None
    call.world.webhook_changed(call.bot)
    return Answer(True, "Webhook was deleted")


def get_webhook_info(call: Call) -> Json:
    """Give the webhook and how its deliveries go."""
    webhook = call.bot.webhook
    info: Json = {
        "url": webhook.url if webhook else "",
        "has_custom_certificate": webhook.has_certificate if webhook else False,
        "pending_update_count": len(call.bot.updates.waiting()),
    }
    if call.bot.webhook_error is not None:
        info["last_error_date"], info["last_error_message"] = call.bot.webhook_error
    if webhook is not None:
        info["max_connections"] = webhook.max_connections
        info["ip_address"] = webhook.ip_address or "<unknown>"
    if call.bot.updates.allowed is not None:
        info["allowed_updates"] = sorted(call.bot.updates.allowed)
    return info


METHODS: Final[dict[str, Handler]] = {
    "getUpdates": get_updates,
    "setWebhook": set_webhook,
    "deleteWebhook": delete_webhook,
    "getWebhookInfo": get_webhook_info,
}
