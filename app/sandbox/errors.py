"""What the doors of the sandbox refuse, in the words and codes of the original.

The texts follow the public Bot API server (tdlib/telegram-bot-api, v10); they never quote what a caller sent,
except names of tags and fields as the original does.
"""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """A Bot API call is refused: `code` is the HTTP status too, `parameters` as in Telegram's envelope."""

    def __init__(self, code: int, description: str, parameters: dict[str, Any] | None = None) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters

    def envelope(self) -> dict[str, Any]:
        """Give the JSON answer that carries this error."""
        body: dict[str, Any] = {"ok": False, "error_code": self.code, "description": self.description}
        if self.parameters:
            body["parameters"] = self.parameters
        return body


class ControlError(Exception):
    """A call of the control API is refused; the sentence says what to do instead."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


class PortInUseError(OSError):
    """The address that the sandbox was to listen on is taken."""


def bad_request(text: str) -> ApiError:
    """Give the 400 whose description is `Bad Request: <text>`."""
    return ApiError(400, f"Bad Request: {text}")


def too_many_requests(retry_after: int) -> ApiError:
    """Give the 429 that asks to come back in `retry_after` seconds."""
    return ApiError(429, f"Too Many Requests: retry after {retry_after}", {"retry_after": retry_after})


def entity_too_large() -> ApiError:
    """Give the 413 of a request that is over the upload limit."""
    return ApiError(413, "Request Entity Too Large")
