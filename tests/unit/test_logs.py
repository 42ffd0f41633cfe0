"""Log lines: JSON, with the ids of the trace, and private by construction."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import format_span_id, format_trace_id

from app.errors import ConfigError
from app.telemetry.contract import Event
from app.telemetry.events import emit
from app.telemetry.logs import TelemetryHandler, configure, fields_of, message_of
from app.telemetry.redaction import MASK, Scrubber

PRIVATE = "what-only-the-user-may-know"
SECRET = "hunter2-hunter2"

tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")


class Output:
    """A handler of its own, and what it wrote."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.handler = TelemetryHandler(Scrubber([SECRET]), self.stream)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def line(self) -> dict[str, Any]:
        (line,) = self.lines()
        return line


@pytest.fixture
def output() -> Output:
    return Output()


def record(name: str, message: object, *args: object, **extra: Any) -> logging.LogRecord:
    made = logging.LogRecord(name, logging.INFO, "file.py", 1, message, args, extra.pop("exc_info", None))
    made.__dict__.update(extra)
    return made


def raised(error: BaseException) -> Any:
    try:
        raise error
    except BaseException:
        return sys.exc_info()


@pytest.mark.parametrize("name", ["app", "app.jobs.worker"])
def test_our_own_records_are_written_in_full(output: Output, name: str) -> None:
    made = record(name, "job %s took %d s", "A", 3)
    made.created = 1_700_000_000.25
    output.handler.handle(made)
    assert output.line() == {
        "ts": "2023-11-14T22:13:20.250Z",
        "level": "INFO",
        "logger": name,
        "message": "job A took 3 s",
    }


@pytest.mark.parametrize("name", ["aiogram.dispatcher", "apprentice", "root", "application.x"])
def test_of_foreign_records_only_the_template_is_written(output: Output, name: str) -> None:
    output.handler.handle(record(name, "Update %s from %s\nsecond line", PRIVATE, PRIVATE))
    assert output.line()["message"] == "Update %s from %s"
    assert PRIVATE not in output.stream.getvalue()


def test_a_foreign_record_that_cannot_be_formatted_does_no_harm(
    output: Output, capsys: pytest.CaptureFixture[str]
) -> None:
    class Odd:
        def __str__(self) -> str:
            raise RuntimeError(PRIVATE)

    output.handler.handle(record("aiogram", "two %s %s", "but one"))
    output.handler.handle(record("aiogram", "one %s", Odd()))
    assert [line["message"] for line in output.lines()] == ["two %s %s", "one %s"]
    assert capsys.readouterr().err == ""


def test_our_own_record_that_cannot_be_formatted_is_reported_not_raised(
    output: Output, capsys: pytest.CaptureFixture[str]
) -> None:
    output.handler.handle(record("app.x", "two %s %s", "but one"))
    assert output.lines() == []
    assert "TypeError" in capsys.readouterr().err


def test_a_message_that_is_no_text_is_written_as_one(output: Output) -> None:
    output.handler.handle(record("aiogram", {"a": 1}))
    assert output.line()["message"] == "{'a': 1}"


@pytest.mark.parametrize("name", ["app.x", "aiogram"])
def test_of_an_exception_class_and_stack_are_written_but_not_the_text(output: Output, name: str) -> None:
    output.handler.handle(record(name, "failed", exc_info=raised(ValueError(PRIVATE))))
    line = output.line()
    assert line["error.type"] == "ValueError"
    assert line["error.stack"].endswith(" raised")
    assert line["error.stack"].startswith(__file__)
    assert "error.message" not in line
    assert PRIVATE not in output.stream.getvalue()


def test_our_own_exception_may_speak(output: Output) -> None:
    output.handler.handle(record("app.x", "failed", exc_info=raised(ConfigError("PORT: no number"))))
    assert (output.line()["error.type"], output.line()["error.message"]) == ("ConfigError", "PORT: no number")


def test_an_exception_s_cause_and_notes_stay_unsaid(output: Output) -> None:
    error = ConfigError("PORT: no number")
    error.__cause__ = ValueError(PRIVATE)
    error.add_note(PRIVATE)
    output.handler.handle(record("app.x", "failed", exc_info=raised(error)))
    assert PRIVATE not in output.stream.getvalue()


def test_exc_info_without_an_exception_adds_nothing(output: Output) -> None:
    output.handler.handle(record("app.x", "fine", exc_info=(None, None, None)))
    assert set(output.line()) == {"ts", "level", "logger", "message"}


def test_the_ids_of_the_current_span_are_on_the_line(output: Output) -> None:
    with tracer.start_as_current_span("work") as span:
        output.handler.handle(record("app.x", "inside"))
    output.handler.handle(record("app.x", "outside"))
    inside, outside = output.lines()
    context = span.get_span_context()
    assert inside["cid"] == inside["trace_id"] == format_trace_id(context.trace_id)
    assert inside["span_id"] == format_span_id(context.span_id)
    assert not {"cid", "trace_id", "span_id"} & set(outside)


def test_secrets_are_masked_in_message_and_fields(output: Output) -> None:
    output.handler.handle(record("app.x", f"key {SECRET}", fields={"deep": {"list": [SECRET]}}))
    assert output.line()["message"] == f"key {MASK}"
    assert output.line()["deep"] == {"list": [MASK]}


def test_a_stream_that_is_gone_does_not_stop_the_bot(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    stream.close()
    TelemetryHandler(Scrubber(), stream).handle(record("app.x", "hello"))
    assert "ValueError" in capsys.readouterr().err


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(["app.x", "foreign"]), st.text(), st.dictionaries(st.text(min_size=1), json_values, max_size=4)
)  # fmt: skip
def test_every_record_is_one_line_of_json(name: str, message: str, fields: dict[str, Any]) -> None:
    fields = {f"field.{key}": value for key, value in fields.items()}
    raw = io.BytesIO()
    handler = TelemetryHandler(Scrubber(), io.TextIOWrapper(raw, "utf-8", newline="\n"))
    made = record(name, message, fields=fields)
    handler.handle(made)
    assert raw.getvalue().count(b"\n") == 1
    line = json.loads(raw.getvalue())
    assert line["message"] == Scrubber().text(message_of(made))
    assert {key: line[key] for key in fields} == Scrubber().attributes(fields_of(made))


# ------------------------------------------------------------------------------------------------ OTLP


@pytest.fixture
def exported(output: Output) -> Iterator[InMemoryLogRecordExporter]:
    exporter = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # the SDK's
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    output.handler.otlp = provider.get_logger("test")
    yield exporter
    provider.shutdown()


def test_an_event_goes_out_with_its_name_and_fields(
    output: Output, exported: InMemoryLogRecordExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = logging.getLogger("app.events")
    monkeypatch.setattr(logger, "handlers", [output.handler])
    monkeypatch.setattr(logger, "propagate", False)
    monkeypatch.setattr(logger, "level", logging.DEBUG)
    with tracer.start_as_current_span("work") as span:
        emit(Event.TASK_FAILED, job_id=7, reason_code="RATE_LIMIT", error_type=SECRET)
    fields = {"job_id": 7, "reason_code": "RATE_LIMIT", "error_type": MASK}
    line = output.line()
    assert (line["message"], line["level"]) == ("TASK_FAILED", "WARNING")
    assert {name: line[name] for name in fields} == fields

    (item,) = exported.get_finished_logs()
    sent = item.log_record
    assert (sent.event_name, sent.body, sent.severity_text) == ("TASK_FAILED", "TASK_FAILED", "WARNING")
    assert dict(sent.attributes or {}) == {"logger": "app.events", **fields}
    assert sent.trace_id == span.get_span_context().trace_id
    assert sent.severity_number is not None
    assert sent.severity_number.value == 13


def test_the_exporter_s_own_complaints_stay_on_the_terminal(
    output: Output, exported: InMemoryLogRecordExporter
) -> None:
    output.handler.handle(record("opentelemetry.exporter.otlp", "Failed to export %s", "logs"))
    output.handler.handle(record("aiogram", "Polling %s", PRIVATE))
    assert [line["logger"] for line in output.lines()] == ["opentelemetry.exporter.otlp", "aiogram"]
    assert [item.log_record.body for item in exported.get_finished_logs()] == ["Polling %s"]


# ------------------------------------------------------------------------------------------------ configure


def test_the_handler_takes_the_logging_over_and_gives_it_back() -> None:
    root, ours = logging.getLogger(), logging.getLogger("app")
    before = (root.handlers[:], root.level, ours.level)
    stream = io.StringIO()
    handler, undo = configure("INFO", Scrubber(), stream)
    try:
        assert root.handlers == [handler]
        for name in ("app.x", "aiogram"):
            logging.getLogger(name).debug("debug of %s", name)
            logging.getLogger(name).info("info of %s", name)
            logging.getLogger(name).warning("warning of %s", name)
    finally:
        undo()
        ours.setLevel(before[2])
    written = [json.loads(line)["message"] for line in stream.getvalue().splitlines()]
    assert written == ["info of app.x", "warning of app.x", "warning of %s"]
    assert (root.handlers[:], root.level) == before[:2]
