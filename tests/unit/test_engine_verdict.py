"""Whatever yt-dlp raises becomes one reason, and nothing of its text gets through."""

from __future__ import annotations

import errno
import http.client
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from yt_dlp.networking.exceptions import NoSupportingHandlers, TransportError
from yt_dlp.utils import ContentTooShortError, DownloadError, ExtractorError, UnsupportedError

from app.errors import NotMedia
from app.jobs.engines import fetch
from app.jobs.engines.netguard import AddressRefused, NetGuard, ReceivedTooMuch
from app.jobs.engines.verdict import judge
from app.jobs.engines.wire import Failed, Order

LINK = "https://example.org/private?q=1"


def wrapped(cause: BaseException) -> DownloadError:
    """Wrap an error as yt-dlp does: inside an extractor's error, inside a download's error."""
    extractor = ExtractorError(f"Unable to download {LINK}", cause=cause)
    return DownloadError(f"ERROR: {LINK}", (type(extractor), extractor, None))


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (wrapped(TransportError(cause=OSError(errno.ECONNREFUSED, LINK))), "LinkUnreachable"),
        (wrapped(http.client.IncompleteRead(b"")), "LinkUnreachable"),
        (wrapped(TimeoutError(LINK)), "LinkUnreachable"),
        (ContentTooShortError(1, 2), "LinkUnreachable"),
        (OSError(errno.EFBIG, LINK), "TooLarge"),
        (wrapped(MemoryError()), "TooLarge"),
        (OSError(errno.ENOSPC, LINK), "EngineFailed"),
        (UnsupportedError(LINK), "NothingToDownload"),
        (ExtractorError(LINK, expected=True), "NothingToDownload"),
        (ExtractorError(LINK), "EngineFailed"),
        (DownloadError(LINK), "NothingToDownload"),
        (wrapped(NoSupportingHandlers([], [])), "NothingToDownload"),
        (NotMedia(), "NotMedia"),
        (KeyError(LINK), "EngineFailed"),
    ],
)
def test_an_exception_becomes_its_reason(raised: BaseException, code: str) -> None:
    failed = judge(raised, NetGuard())
    assert failed.code == code
    assert "example" not in failed.where


def test_the_guards_word_goes_before_all_others() -> None:
    refused, spent = NetGuard(), NetGuard(byte_budget=0)
    with pytest.raises(AddressRefused):
        refused.check(("127.0.0.1", 80))
    with pytest.raises(ReceivedTooMuch):
        spent.count(1)
    assert judge(wrapped(TimeoutError()), refused) == Failed("LinkNotAllowed")
    assert judge(wrapped(TimeoutError()), spent) == Failed("TooLarge")


def test_a_fault_of_ours_is_told_by_kind_and_line() -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        divmod(1, 0)
    where = judge(raised.value, NetGuard()).where
    assert where.startswith("ZeroDivisionError ")
    assert __name__ in where


REFUSED = """
import subprocess
from app.jobs.engines.confine import allow_only
from app.jobs.engines.netguard import NetGuard
from app.jobs.engines.verdict import judge
allow_only("/bin/true")
try:
    subprocess.run(["/bin/false"])
except PermissionError as refused:
    print(judge(refused, NetGuard()).code)
"""


def test_a_program_that_may_not_be_started_is_a_fault_of_ours_and_not_of_the_link() -> None:
    done = subprocess.run(
        [sys.executable, "-c", REFUSED], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.strip() == "EngineFailed"


@pytest.fixture
def downloader(tmp_path: Path) -> Any:
    order = Order(LINK, 192, 1000, 10.0, 10.0, "/usr/bin/ffmpeg", (), 1)
    with fetch._Downloader(order, tmp_path, lambda _done, _total: None) as made:
        yield made


def test_only_request_handlers_written_in_python_are_used(downloader: Any) -> None:
    class Native:
        RH_KEY = "CurlCFFI"

    assert downloader.build_request_director([Native]).handlers == {}
    assert "Urllib" in downloader._request_director.handlers


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://example.org/a", "data:,a", "rtmp://example.org/a"]
)
def test_other_schemes_are_stopped(downloader: Any, url: str) -> None:
    with pytest.raises(fetch.Stopped) as raised:
        downloader.urlopen(url)
    assert judge(raised.value, NetGuard()) == Failed("LinkNotAllowed")


@pytest.mark.parametrize(
    ("info", "code"),
    [
        ({"is_live": True}, "NothingToDownload"),
        ({"live_status": "is_upcoming"}, "NothingToDownload"),
        ({"duration": 10.1}, "TooLong"),
    ],
)
def test_what_the_page_says_is_enough_to_stop(downloader: Any, info: dict[str, Any], code: str) -> None:
    with pytest.raises(fetch.Stopped) as raised:
        downloader.params["match_filter"](info, incomplete=False)
    # yt-dlp raises it a second time, without arguments
    assert judge(type(raised.value)(), NetGuard()) == Failed(code)
    downloader.params["match_filter"]({"duration": 10, "live_status": "not_live"}, incomplete=False)
