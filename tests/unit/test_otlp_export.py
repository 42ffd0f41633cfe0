"""The exporter against real HTTP servers that hang, refuse, fail or are not there: bounded, counted, never awaited."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk.resources import Resource

from app.telemetry.meters import Meters
from app.telemetry.otlp import exporter as exporters
from app.telemetry.otlp.exporter import Channel, Exporter
from app.telemetry.otlp.metrics import Metrics
from app.telemetry.otlp.queues import Queue
from app.telemetry.otlp.sending import NotTaken, Sender


@dataclass
class Collector:
    """A server that answers as it is told: a status, or 0 for not at all until `release`."""

    answer: int = 200
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    asked: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    release: threading.Event = field(default_factory=threading.Event)
    connections: int = 0
    url: str = ""

    def received(self) -> list[bytes]:
        """The items of all bodies that were taken."""
        return [item for body in self.bodies for item in body.split(b",")]


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            collector.connections += 1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.headers.append(dict(self.headers))
            collector.asked.release()
            if collector.answer == 0:
                collector.release.wait(30)
                self.close_connection = True
                return
            if collector.answer == 200:
                collector.bodies.append(body)
            self.send_response(collector.answer)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    collector.url = f"http://127.0.0.1:{server.server_address[1]}/v1/traces"
    yield collector
    collector.release.set()
    server.shutdown()
    thread.join()
    server.server_close()


_senders: list[Sender] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _senders:
        _senders.pop().close()


def sender(url: str, timeout_s: float = 5) -> Sender:
    _senders.append(Sender(url, {"authorization": "Bearer x"}, timeout_s))
    return _senders[-1]


def channel(url: str, queue: Queue[bytes] | None = None, timeout_s: float = 5) -> Channel[bytes]:
    return Channel("spans", b",".join, sender(url, timeout_s), queue)


def put(into: Channel[bytes], *numbers: int) -> None:
    for number in numbers:
        into.queue.put(b"%d" % number, 10)


# ------------------------------------------------------------------------------------------------ the queue


def test_a_full_queue_drops_the_oldest_and_counts_it() -> None:
    queue: Queue[int] = Queue(most=3)
    for number in range(10):
        queue.put(number, 5)
    assert (len(queue), queue.dropped, queue.bytes) == (3, 7, 15)
    assert queue.take(2) == [7, 8]
    assert queue.take(9) == [9]
    assert (len(queue), queue.dropped, queue.bytes) == (0, 7, 0)


def test_a_queue_is_bounded_in_bytes_whatever_is_put_into_it() -> None:
    queue: Queue[str] = Queue(most=100, most_bytes=1000)
    for size in (300, 300, 300, 300, 999, 1001, 10):
        queue.put(f"{size}", size)
        assert queue.bytes <= 1000
    assert (queue.take(9), queue.dropped) == (["10"], 6)


# ------------------------------------------------------------------------------------------------ sending


def test_what_waits_is_sent_in_order_over_one_connection(collector: Collector) -> None:
    sent = channel(collector.url)
    for start in range(0, 30, 10):
        put(sent, *range(start, start + 10))
        sent.work(patient=True)
    assert collector.received() == [b"%d" % number for number in range(30)]
    assert (sent.dropped, sent.waiting, collector.connections) == (0, 0, 1)
    assert collector.headers[0]["authorization"] == "Bearer x"
    assert collector.headers[0]["Content-Type"] == "application/x-protobuf"
    assert not {"traceparent", "baggage"} & {name.lower() for name in collector.headers[0]}


def test_a_connection_that_was_closed_meanwhile_costs_nothing(collector: Collector) -> None:
    sent = channel(collector.url)
    put(sent, 1)
    sent.work(patient=True)
    _senders[0]._connection.sock.shutdown(socket.SHUT_RDWR)  # as a proxy would, behind our back
    put(sent, 2)
    sent.work(patient=True)
    assert collector.received() == [b"1", b"2"]
    assert sent.dropped == 0


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_a_busy_collector_refused_is_sent_once_it_takes_it(collector: Collector, status: int) -> None:
    collector.answer = status
    sent = channel(collector.url)
    put(sent, 1, 2)
    sent.work(patient=True)
    sent.work(patient=True)  # it waits before the next try
    assert (len(collector.headers), sent.waiting, sent.dropped) == (1, 2, 0)
    collector.answer = 200
    put(sent, 3)
    sent.work(patient=False)
    assert (collector.received(), sent.waiting, sent.dropped) == ([b"1", b"2", b"3"], 0, 0)


@pytest.mark.parametrize("status", [400, 401, 404, 413, 500, 302])
def test_what_is_refused_for_good_is_counted_and_not_repeated(collector: Collector, status: int) -> None:
    collector.answer = status
    sent = channel(collector.url)
    put(sent, 1, 2)
    sent.work(patient=False)
    sent.work(patient=False)
    assert (len(collector.headers), sent.waiting, sent.dropped) == (1, 0, 2)


def test_a_batch_that_is_always_refused_makes_room_in_the_end(collector: Collector) -> None:
    collector.answer = 503
    sent = channel(collector.url)
    put(sent, 1, 2)
    for _ in range(exporters._TRIES):
        sent.work(patient=False)
    assert (sent.waiting, sent.dropped) == (0, 2)


def _nobody_there() -> str:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    return f"http://127.0.0.1:{port}/v1/traces"


def test_a_collector_that_is_away_for_long_costs_the_oldest_only(collector: Collector) -> None:
    """More than the queue holds came while nobody listened; the rest is delivered afterwards, and the sum is right."""
    sent = channel(_nobody_there(), Queue(most=50))
    for number in range(500):
        put(sent, number)
        if number % 100 == 0:
            sent.work(patient=True)
        assert len(sent.queue) <= 50
    assert sent.waiting == 51  # with the one that was tried first
    sent._place = sender(collector.url)
    sent.work(patient=False)
    assert collector.received() == [b"0", *(b"%d" % number for number in range(450, 500))]
    assert sent.dropped + len(collector.received()) == 500


def test_of_an_outage_one_line_is_written_however_long_it_is(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    collector.answer = 503
    sent = channel(collector.url)
    for number in range(20):
        put(sent, number)
        sent.work(patient=False)
    collector.answer = 200
    sent.work(patient=False)
    assert [record.getMessage() for record in caplog.records] == [
        "the Collector does not take spans (HTTP 503)",
        f"the Collector takes spans again; {sent.dropped} went lost so far",
    ]


def test_an_encoder_that_fails_costs_its_batch_and_no_other(collector: Collector) -> None:
    def encode(items: object) -> bytes:
        if items == [b"1"]:
            raise ValueError("odd")
        return b"fine"

    sent: Channel[bytes] = Channel("spans", encode, sender(collector.url))
    sent.queue.put(b"1", 1)
    sent.work(patient=True)
    sent.queue.put(b"2", 1)
    sent.work(patient=True)
    assert (collector.received(), sent.dropped) == ([b"fine"], 1)


def test_metrics_are_exported_when_there_are_some_and_every_fifteen_seconds(collector: Collector) -> None:
    taken: list[int] = []

    def take() -> None:
        taken.append(1)

    work = Metrics(take, sender(collector.url))
    work.work(patient=True)  # fifteen seconds are not over
    assert not taken
    work.work(patient=False)
    assert (taken, work.dropped, collector.bodies) == ([1], 0, [])  # nothing was recorded yet


@pytest.mark.parametrize("status", [503, 400])
def test_an_export_of_metrics_that_fails_is_counted_and_made_good_by_the_next(
    collector: Collector, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    meters = Meters(Resource({}), [])
    counter = meters.get_meter("test").create_counter("c")
    work = Metrics(meters.collect, sender(collector.url))
    collector.answer = status
    for _ in range(3):
        counter.add(1)
        work.work(patient=False)
    assert work.dropped == 3
    collector.answer = 200
    counter.add(1)
    work.work(patient=False)
    sent = ExportMetricsServiceRequest.FromString(collector.bodies[0])
    assert sent.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points[0].as_int == 4
    assert work.dropped == 3
    assert [record.getMessage() for record in caplog.records] == [
        f"the Collector does not take metrics (HTTP {status})"
    ]


def test_metrics_that_cannot_be_collected_do_not_end_the_thread(collector: Collector) -> None:
    work = Metrics(lambda: 1 / 0, sender(collector.url))  # type: ignore[arg-type,return-value]  # that is the fault
    work.work(patient=False)
    assert work.dropped == 1


# ------------------------------------------------------------------------------------------------ the thread


def test_who_puts_never_waits_for_a_collector_that_hangs(collector: Collector) -> None:
    """The exporter's thread hangs in the middle of a request, and everything that is put meanwhile is bounded."""
    collector.answer = 0
    told: list[dict[str, int]] = []
    exporter = Exporter(0.01, lambda dropped: told.append(dict(dropped)))
    sent = channel(collector.url, Queue(most=100), timeout_s=30)
    exporter.add(sent)
    put(sent, 0)
    exporter.start()
    assert collector.asked.acquire(timeout=20)  # it is inside the request, and stays there
    put(sent, *range(1, 1001))
    assert not collector.release.is_set()
    assert exporter.health() == {"spans_dropped": 900, "logs_dropped": 0, "metrics_dropped": 0, "queue": 101}
    collector.answer = 200
    collector.release.set()
    exporter.shutdown()
    assert exporter.health()["queue"] == 0
    # The first was in a request that nobody answered; it was sent once more.
    assert collector.received() == [b"0", *(b"%d" % number for number in range(901, 1001))]
    assert told[-1] == {"spans": 900, "logs": 0, "metrics": 0}


def test_a_request_that_is_not_answered_ends_and_counts_as_refused(collector: Collector) -> None:
    collector.answer = 0
    with pytest.raises(NotTaken, match="TimeoutError") as refused:
        sender(collector.url, 0.05)(b"1")
    assert refused.value.again


@pytest.mark.parametrize(
    "begin", [b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 "]
)
def test_an_answer_that_drips_ends_and_counts_as_refused(begin: bytes) -> None:
    """Each byte comes in time, the whole never would."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        left = threading.Event()

        def drip() -> None:
            connection, _ = server.accept()
            with closing(connection), suppress(OSError):
                connection.recv(65536)
                connection.sendall(begin)
                while not left.wait(0.02):
                    connection.sendall(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        spans = channel(f"http://127.0.0.1:{server.getsockname()[1]}/v1/traces", timeout_s=0.2)
        put(spans, 1)
        work = threading.Thread(target=spans.work, kwargs={"patient": True}, daemon=True)
        work.start()
        work.join(10)
        ended = not work.is_alive()
        left.set()
        thread.join()
        work.join()
        assert ended
        assert (spans.waiting, spans.dropped) == (1, 0)
        spans.give_up()
        assert spans.dropped == 1


def test_many_items_wake_the_thread_before_its_time(collector: Collector) -> None:
    exporter = Exporter(3600)
    sent = channel(collector.url)
    exporter.add(sent)
    exporter.start()
    put(sent, *range(600))
    assert collector.asked.acquire(timeout=20)
    exporter.shutdown()
    assert len(collector.received()) == 600


def test_what_nobody_takes_at_the_end_is_counted() -> None:
    exporter = Exporter(3600)
    sent = channel(_nobody_there())
    exporter.add(sent)
    exporter.start()
    put(sent, 1, 2, 3)
    exporter.shutdown()
    exporter.shutdown()
    assert exporter.dropped() == {"spans": 3, "logs": 0, "metrics": 0}


def test_a_place_that_fails_does_not_end_the_thread(collector: Collector) -> None:
    class Failing:
        def __call__(self, body: object, /) -> None:
            raise RuntimeError("odd")

        def close(self) -> None:
            """Nothing is open."""

    exporter = Exporter(3600)
    failing: Channel[bytes] = Channel("logs", b",".join, Failing())
    fine = channel(collector.url)
    for each in (failing, fine):
        exporter.add(each)
        put(each, 1)
    exporter.flush()
    assert exporter.dropped() == {"spans": 0, "logs": 1, "metrics": 0}
    assert collector.received() == [b"1"]
