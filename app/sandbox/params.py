"""The parameters of one Bot API call, however they were sent: query, form, JSON or multipart.

As in the original, every value is a string first and each method reads it as what it needs; files go to disk
while they arrive, so that no upload is ever in memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import BodyPartReader, ClientPayloadError, MultipartReader, StreamReader
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import RequestPayloadError

from app.sandbox.errors import bad_request, entity_too_large
from app.sandbox.files import UPLOAD_LIMIT, FileStore, Upload

BODY_LIMIT = 4 * 1024 * 1024
# More than a connection buffers: aiohttp then never hands bytes back to it, which it does with a DeprecationWarning.
CHUNK_BYTES = 1024 * 1024
PARTS_LIMIT = 128
LOGGED_VALUE_LIMIT = 8192
LOGGED_LIMIT = 65536
_ATTACH = "attach://"
_TRUE = frozenset({"true", "yes", "1"})
# What aiohttp raises on bodies that are not what they claim to be, or whose sender goes away.
BROKEN_BODY = (
    ValueError,
    RuntimeError,
    AssertionError,
    LookupError,
    RecursionError,
    HttpProcessingError,
    ClientPayloadError,
    RequestPayloadError,
    ConnectionError,
)


def strict_json(source: str | bytes) -> Any:
    """Decode JSON that can be written again: no NaN, no infinite number, no half of a surrogate pair.

    Raises:
        ValueError: It is not such JSON.
        RecursionError: It is nested too deep.
    """
    decoded = json.loads(source)
    json.dumps(decoded, ensure_ascii=False, allow_nan=False).encode()
    return decoded


class Params:
    """Named strings and uploads, with the lenient readings of the original."""

    def __init__(
        self, values: Mapping[str, str] | None = None, files: Mapping[str, Upload] | None = None
    ) -> None:
        self.values = dict(values or {})
        self.files = dict(files or {})

    def text(self, name: str) -> str:
        """Give the string, empty when it is missing."""
        return self.values.get(name, "")

    def integer(self, name: str, default: int = 0) -> int:
        """Give the number at the start of the string; what is no number is 0."""
        raw = self.text(name)
        if not raw:
            return default
        found = re.match(r"-?\d{1,19}", raw)
        return int(found.group()) if found else 0

    def boolean(self, name: str) -> bool:
        """Tell whether the string says yes."""
        return self.text(name).strip().lower() in _TRUE

    def json(self, name: str, otherwise: str) -> Any:
        """Decode the string as JSON, None when it is missing.

        Raises:
            ApiError: 400 with the text `otherwise` when it is not JSON.
        """
        raw = self.text(name)
        if not raw:
            return None
        try:
            return strict_json(raw)
        except (ValueError, RecursionError):
            raise bad_request(otherwise) from None

    def upload(self, name: str, value: str) -> Upload | None:
        """Give the upload that `value` points at with `attach://`, or the one sent under `name` itself."""
        return self.files.get(value.removeprefix(_ATTACH) if value.startswith(_ATTACH) else name)

    def summary(self) -> dict[str, Any]:
        """Show the call as the log of calls keeps it: values cut, files by name and size."""
        sizes = {
            name[:256]: {"file_name": (file.name or "")[:256], "size": file.size}
            for name, file in self.files.items()
        }
        return {**logged(self.values), **sizes}


def logged(values: Mapping[str, str]) -> dict[str, str]:
    """Cut what the log of calls is to remember: each value to 8192 characters, all together to 65536."""
    kept: dict[str, str] = {}
    left = LOGGED_LIMIT
    for name, value in values.items():
        if len(name) >= left:
            break
        kept[name] = value[: min(LOGGED_VALUE_LIMIT, left - len(name))]
        left -= len(name) + len(kept[name])
    return kept


async def read_params(
    headers: Mapping[str, str], body: StreamReader, query: Iterable[tuple[str, str]], store: FileStore
) -> Params:
    """Decode a request, or the answer of a webhook.

    Raises:
        ApiError: 413 over 50 MB, 400 when the body is not what its type says.
    """
    params = Params(dict(query))
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    try:
        if kind == "multipart/form-data":
            await _read_multipart(params, headers, body, store)
        else:
            params.values.update(_decode_plain(kind, await read_bounded(body, BODY_LIMIT)))
        _check_utf8(params.values.values())
    except BaseException as error:
        store.drop(params.files.values())
        if isinstance(error, BROKEN_BODY):
            raise bad_request("can't parse the body of the request") from None
        raise
    return params


async def read_bounded(body: StreamReader, limit: int) -> bytes:
    """Read the whole body.

    Raises:
        ApiError: 413 when it is longer than `limit` bytes.
    """
    collected = bytearray()
    async for chunk in body.iter_chunked(CHUNK_BYTES):
        collected += chunk
        if len(collected) > limit:
            raise entity_too_large()
    return bytes(collected)


def _decode_plain(kind: str, body: bytes) -> dict[str, str]:
    if not body.strip():
        return {}
    if kind == "application/json":
        decoded = strict_json(body)
        if not isinstance(decoded, dict):
            raise ValueError("not an object")
        return {name: _as_text(value) for name, value in decoded.items() if value is not None}
    if kind == "application/x-www-form-urlencoded":
        return dict(
            parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=PARTS_LIMIT)
        )
    return {}


def _as_text(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


async def _read_multipart(
    params: Params, headers: Mapping[str, str], body: StreamReader, store: FileStore
) -> None:
    total = 0
    parts = 0
    reader = MultipartReader(headers, body)
    while (part := await reader.next()) is not None:
        parts += 1
        if not isinstance(part, BodyPartReader) or parts > PARTS_LIMIT:
            raise ValueError("nested or too many parts")
        _check_utf8((part.name or "", part.filename or ""))
        if part.filename is not None:
            total += await _read_file(params, part, store)
        else:
            value = await _read_field(part)
            total += len(value)
            params.values[part.name or ""] = value.decode()
        if total > UPLOAD_LIMIT + BODY_LIMIT:
            raise entity_too_large()


async def _read_file(params: Params, part: BodyPartReader, store: FileStore) -> int:
    upload = store.begin(part.filename, part.headers.get("Content-Type"))
    replaced = params.files.get(part.name or "")
    params.files[part.name or ""] = upload
    if replaced is not None:
        store.drop((replaced,))
    while chunk := await part.read_chunk(CHUNK_BYTES):
        store.append(upload, chunk)
    return upload.size


async def _read_field(part: BodyPartReader) -> bytes:
    collected = bytearray()
    while chunk := await part.read_chunk(CHUNK_BYTES):
        collected += chunk
        if len(collected) > BODY_LIMIT:
            raise entity_too_large()
    return bytes(collected)


def _check_utf8(values: Iterable[str]) -> None:
    for value in values:
        try:
            value.encode()
        except UnicodeEncodeError:
            raise bad_request("strings must be encoded in UTF-8") from None
