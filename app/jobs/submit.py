"""The door of the queue: a job begins its own trace here, and the update that asked for it names that trace.

The job's trace starts with this short PRODUCER span, so that the wait in the queue is part of the job's story.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanKind
from sqlalchemy.ext.asyncio import AsyncSession

from app.jobs import measure, queue
from app.jobs.ports import AudioRequest
from app.telemetry import tracer
from app.telemetry.context import correlation_id, traceparent
from app.telemetry.contract import Event
from app.telemetry.events import emit

#: Opens the transaction in which the job is queued.
Transaction = Callable[[], AbstractAsyncContextManager[AsyncSession]]


async def submit(
    transaction: Transaction,
    request: AudioRequest,
    *,
    chat_id: int,
    reply_to_message_id: int,
    progress_message_id: int,
    language: str,
) -> int:
    """Queue a job for the current update and return its id. The row is committed when this returns."""
    update_span = trace.get_current_span()
    update_context = update_span.get_span_context()
    job_span = tracer.start_span(
        "send jobs.download",
        context=Context(),
        kind=SpanKind.PRODUCER,
        links=[Link(update_context)] if update_context.is_valid else [],
        attributes={
            "messaging.system": "tracegram",
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": "jobs.download",
        },
    )
    try:
        async with transaction() as session:
            job_id = await queue.enqueue(
                session,
                request,
                chat_id=chat_id,
                reply_to_message_id=reply_to_message_id,
                progress_message_id=progress_message_id,
                language=language,
                traceparent=traceparent(job_span),
                created_by=traceparent(update_span),
            )
        job_span.set_attribute("messaging.message.id", str(job_id))
    finally:
        job_span.end()
    job_context = job_span.get_span_context()
    update_span.add_link(job_context)
    update_span.set_attribute("job.trace_id", correlation_id(job_context))
    measure.asked(request)
    emit(Event.TASK_CREATED, job_id=job_id, job_cid=correlation_id(job_context))
    return job_id
