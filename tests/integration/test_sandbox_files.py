"""Files in the sandbox: uploads, file ids, downloads, photos and albums."""

from __future__ import annotations

import asyncio
import json
import struct
import zlib
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import ANY

import pytest

from tests.kit.sandbox_client import ALICE, BORIS, TOKEN, Sandbox, running_sandbox

BOT = {"id": 42, "is_bot": True, "first_name": "Sandbox Bot", "username": "sandbox_42_bot"}
ALICE_CHAT = {"id": ALICE, "first_name": "Alice", "username": "alice", "type": "private"}


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


@pytest.fixture
async def box() -> AsyncIterator[Sandbox]:
    async with running_sandbox() as box:
        yield box


async def test_an_audio_keeps_its_file_id_wherever_it_goes(box: Sandbox) -> None:
    status, body = await box.upload(
        f"bot{TOKEN}/sendAudio",
        chat_id=ALICE,
        audio=("Песня 1.mp3", b"ID3 sound"),
        duration=61,
        title="Song",
        performer="Singer",
        caption="<b>cap</b>",
        parse_mode="HTML",
    )
    audio = {
        "file_id": ANY,
        "file_unique_id": ANY,
        "file_size": 9,
        "duration": 61,
        "title": "Song",
        "performer": "Singer",
        "file_name": "Песня 1.mp3",
        "mime_type": "audio/mpeg",
    }
    assert (status, body["result"]) == (
        200,
        {
            "message_id": 1,
            "from": BOT,
            "chat": ALICE_CHAT,
            "date": ANY,
            "audio": audio,
            "caption": "cap",
            "caption_entities": [{"type": "bold", "offset": 0, "length": 3}],
        },
    )
    sent = body["result"]["audio"]
    again = await box.result("sendAudio", chat_id=BORIS, audio=sent["file_id"], title="ignored")
    assert again["audio"] == sent
    assert await box.result("copyMessage", chat_id=BORIS, from_chat_id=ALICE, message_id=1) == {
        "message_id": 3
    }
    forwarded = await box.result("forwardMessage", chat_id=BORIS, from_chat_id=ALICE, message_id=1)
    assert forwarded["audio"] == sent
    assert forwarded["forward_origin"] == {"type": "user", "sender_user": BOT, "date": ANY}
    refused = "400 Bad Request: can't use file of type Audio as Document"
    assert await box.refusal("sendDocument", chat_id=ALICE, document=sent["file_id"]) == refused
    foreign = await box.call("sendAudio", token="43:other", chat_id=ALICE, audio=sent["file_id"])
    assert foreign["description"] == "Bad Request: wrong file identifier/HTTP URL specified"


async def test_get_file_gives_a_link_that_lives_an_hour(box: Sandbox) -> None:
    _, body = await box.upload(f"bot{TOKEN}/sendDocument", chat_id=ALICE, document=("a.bin", b"0123456789"))
    document = body["result"]["document"]
    file = await box.result("getFile", file_id=document["file_id"])
    assert file == {
        "file_id": document["file_id"],
        "file_unique_id": document["file_unique_id"],
        "file_size": 10,
        "file_path": ANY,
    }
    link = f"{box.url}/file/bot{TOKEN}/{file['file_path']}"
    async with box.http.get(link) as response:
        assert (response.status, await response.read()) == (200, b"0123456789")
    await box.post("clock", {"advance_s": 3601})
    async with box.http.get(link) as response:
        assert await response.json() == {"ok": False, "error_code": 404, "description": "Not Found"}
    assert await box.refusal("getFile", file_id="nonsense") == "400 Bad Request: invalid file_id"
    assert await box.refusal("getFile") == "400 Bad Request: file_id not specified"


async def test_sizes_of_files(box: Sandbox) -> None:
    big = bytes(20 * 1024 * 1024 + 1)
    status, _ = await box.upload(f"sandbox/users/{ALICE}/files", kind="document", file=("big.bin", big))
    assert status == 200
    (update,) = await box.result("getUpdates")
    file_id = update["message"]["document"]["file_id"]
    assert await box.refusal("getFile", file_id=file_id) == "400 Bad Request: file is too big"
    refusals = {
        "sendDocument": (("document", ("e.bin", b"")), "file must be non-empty"),
        "sendPhoto": (("photo", ("p.png", png(8, 8) + bytes(10 * 1024 * 1024))), "file is too big"),
        "sendVideo": (("x", "y"), "there is no video in the request"),
        "sendVoice": (("voice", "attach://nothing"), "there is no voice in the request"),
        "sendAnimation": (("animation", "https://x.org/a.gif"), "wrong file identifier/HTTP URL specified"),
        "sendAudio": (("caption", "x" * 1025), "message caption is too long"),
    }
    for method, ((name, value), refusal) in refusals.items():
        status, body = await box.upload(f"bot{TOKEN}/{method}", chat_id=ALICE, **{name: value})
        assert (status, body["description"]) == (400, f"Bad Request: {refusal}")


@pytest.mark.parametrize(
    ("picture", "outcome"),
    [
        (png(640, 480), (640, 480)),
        (b"GIF89a" + struct.pack("<HH", 30, 20) + b"\0" * 20, (30, 20)),
        (b"\xff\xd8\xff\xe0\0\x04ab\xff\xc0\0\x11\x08" + struct.pack(">HH", 20, 30) + b"\0" * 20, (30, 20)),
        (b"RIFF\0\0\0\0WEBPVP8X\0\0\0\0\0\0\0\0" + b"\x1d\0\0\x13\0\0", (30, 20)),
        (b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x1e\0\x14\0", (30, 20)),
        (b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f" + struct.pack("<I", 29 | 19 << 14), (30, 20)),
        (b"not a picture", "Bad Request: IMAGE_PROCESS_FAILED"),
        (b"\xff\xd8\xff", "Bad Request: IMAGE_PROCESS_FAILED"),
        (png(9000, 2000), "Bad Request: PHOTO_INVALID_DIMENSIONS"),
        (png(100, 2001), "Bad Request: PHOTO_INVALID_DIMENSIONS"),
    ],
)
async def test_photos_have_sides(box: Sandbox, picture: bytes, outcome: object) -> None:
    _, body = await box.upload(f"bot{TOKEN}/sendPhoto", chat_id=ALICE, photo=("p", picture))
    if body["ok"]:
        (size,) = body["result"]["photo"]
        assert (size["width"], size["height"]) == outcome
    else:
        assert body["description"] == outcome


async def test_albums(box: Sandbox) -> None:
    media = (
        '[{"type":"document","media":"attach://a"},{"type":"document","media":"attach://b","caption":"two"}]'
    )
    parts: dict[str, Any] = {"chat_id": ALICE, "media": media, "a": ("a.txt", b"1"), "b": ("b.txt", b"2")}
    _, body = await box.upload(f"bot{TOKEN}/sendMediaGroup", **parts)
    first, second = body["result"]
    assert (first["document"]["file_name"], second["document"]["file_name"]) == ("a.txt", "b.txt")
    assert first["media_group_id"] == second["media_group_id"]
    assert second["caption"] == "two"
    change = {"type": "document", "media": second["document"]["file_id"], "caption": "three"}
    edited = await box.result("editMessageMedia", chat_id=ALICE, message_id=1, media=change)
    assert (edited["document"], edited["caption"]) == (second["document"], "three")
    refusals: list[tuple[Any, str]] = [
        ("", 'parameter "media" is required'),
        ("{", "can't parse media JSON object"),
        ({}, "expected an Array of InputMedia"),
        ([], "there are no messages to send"),
        ([{"type": "photo", "media": "x"}] * 11, "too many messages to send as an album"),
        ([{"type": "sticker", "media": "x"}], 'can\'t parse InputMedia: type "sticker" is unsupported'),
        ([{"type": "photo"}], "can't parse InputMedia: media not found"),
        (
            [{"type": "animation", "media": "x"}],
            "can't parse InputMedia: type \"animation\" can't be used in sendMediaGroup",
        ),
        (
            [{"type": "document", "media": "x"}, {"type": "photo", "media": "x"}],
            "document can't be mixed with other media types",
        ),
    ]
    for given, refusal in refusals:
        assert (
            await box.refusal("sendMediaGroup", chat_id=ALICE, media=given) == f"400 Bad Request: {refusal}"
        )


async def test_a_file_arrives_whole_however_its_bytes_are_split(box: Sandbox) -> None:
    pieces = [b"x" * 100, b"y" * 2, b"z" * 200_000]
    tail = b"\r\n--bbbbbbbb--\r\n"
    part = b'--bbbbbbbb\r\nContent-Disposition: form-data; name="document"; filename="x"\r\n\r\n'
    length = sum(map(len, [part, *pieces, tail]))
    head = (
        f"POST /bot{TOKEN}/sendDocument?chat_id={ALICE} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n"
    )
    head += "Connection: close\r\nContent-Type: multipart/form-data; boundary=bbbbbbbb\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", int(box.url.rpartition(":")[2]))
    for piece in (head.encode() + part, *pieces, tail):
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.05)
    answer = (await reader.read()).partition(b"\r\n\r\n")[2]
    writer.close()
    await writer.wait_closed()
    assert json.loads(answer)["result"]["document"]["file_size"] == 200_102
