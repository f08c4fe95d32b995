"""Relay: an answer that goes on, piece by piece from the provider to the client.

The client's slowness holds the provider back, for as long as a client may stall. When the client has left and the
provider bills the answer anyway, it is read on without being sent.
"""

from __future__ import annotations

import asyncio
import contextlib

from app.adapters.providers import failures
from app.adapters.providers.client import UpstreamAnswer
from app.base.errors import AppError, ProviderFailed
from app.gateway import settlement
from app.gateway.attempt import Pieces
from app.gateway.charging import checkpoints, holding
from app.gateway.course import Course
from app.wire.answers import BrokenStream
from app.wire.faces import Tap

MAX_KEPT_BYTES = 1024 * 1024
"""Of an answer that its team keeps; the rest is not stored."""

_END_SECONDS = 0.2

_STREAM_HEADERS = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))
"""nginx, Blocklet Server's among them, would otherwise hold a stream back."""


async def relay(course: Course, pieces: Pieces) -> bytes:
    """Send everything but the last bytes, which the caller sends once the call is settled.

    Raises:
        AppError: the stream broke or was stopped; what went out is in `course.outcome`.
    """
    try:
        with course.upstream:
            headers = [*course.headers(), (b"content-type", pieces.content_type.encode("latin-1", "replace"))]
            if pieces.tap is not None:
                headers += _STREAM_HEADERS
            course.http_status = pieces.status
            course.has_started = True
            await course.door.start(pieces.status, headers)
            if pieces.tap is None:
                return await _relay_file(course, pieces)
            return await _relay_events(course, pieces, pieces.tap)
    except failures.EXCEPTIONS as error:
        raise _broken(course, error) from None
    except AppError:
        if course.stop_reason == "idle":
            _count_failure(course)
        raise
    finally:
        pieces.answer.close()
        if pieces.tap is not None:
            _read_off(course, pieces.tap)


async def _relay_events(course: Course, pieces: Pieces, tap: Tap) -> bytes:
    keeps = course.caller.keep_content_days > 0
    progress = course.deadline.progress
    feed = tap.feed
    bill = course.bill
    course.tap = tap
    checkpoints.mark(course)
    if pieces.first:
        await _give(course, pieces.first, keeps)
    piece = pieces.answer.piece
    while not tap.is_done and (chunk := await piece()):
        progress()
        passed = feed(chunk)
        if passed:
            await _give(course, passed, keeps)
        if tap.error is not None:
            raise _error_inside(course, bytes(tap.error))
        must_grow = holding.must_grow(bill, tap.characters) and not tap.is_complete
        if must_grow and not await holding.grow(course, tap.characters):
            return _cut(course, tap, keeps)
    if tap.is_done:
        await _end(pieces.answer)
    rest = tap.finish()
    if tap.error is not None:
        raise _error_inside(course, bytes(tap.error))
    if not tap.is_complete:
        raise _broken(course, BrokenStream("an end before the answer was complete"))
    wrong = pieces.passage.last_check()
    if wrong is not None:
        raise wrong
    if keeps:
        course.outcome.kept += rest
    return rest + tap.tail


def _cut(course: Course, tap: Tap, keeps: bool) -> bytes:
    """No credit for more: what ends the stream, as far as its format knows, because the answer grew too long."""
    course.bill.is_cut = True
    closing = tap.cut(settlement.told_of_cut(course, tap.characters))
    if keeps:
        course.outcome.kept += closing
    return closing


async def _end(answer: UpstreamAnswer) -> None:
    """All was said. A connection whose answer ends now can be used again, but nobody waits long for that."""
    with contextlib.suppress(*failures.EXCEPTIONS):
        async with asyncio.timeout(_END_SECONDS):
            while await answer.piece():
                pass


async def _relay_file(course: Course, pieces: Pieces) -> bytes:
    held = pieces.first
    while chunk := await pieces.answer.piece():
        course.deadline.progress()
        await _give(course, held, keeps=False)
        held = chunk
    return held


async def _give(course: Course, piece: bytes, keeps: bool) -> None:
    if keeps and len(course.outcome.kept) < MAX_KEPT_BYTES:
        course.outcome.kept += piece[: MAX_KEPT_BYTES - len(course.outcome.kept)]
    if course.is_client_gone:
        return
    course.deadline.giving()
    await course.door.write(piece)
    course.deadline.given()


def _read_off(course: Course, tap: Tap) -> None:
    outcome = course.outcome
    outcome.usage = tap.usage
    outcome.finish_reason = tap.finish_reason
    outcome.upstream_id = tap.upstream_id
    outcome.characters = tap.characters
    outcome.service_tier = tap.service_tier


def _broken(course: Course, error: Exception) -> AppError:
    """A stream that broke in the middle. It cannot be tried elsewhere: the client has its beginning."""
    _count_failure(course)
    return ProviderFailed(
        f"{course.model.name} broke off in the middle of its answer ({error or type(error).__name__}).",
        code="provider_stream_broken",
    )


def _error_inside(course: Course, report: bytes) -> AppError:
    assert course.candidate is not None
    kind, secrets = course.candidate.route.source.kind, tuple(course.candidate.credential.parts.values())
    return failures.from_error_inside(kind, report, secrets).error


def _count_failure(course: Course) -> None:
    if course.candidate is not None:
        course.shared.health.failed(course.candidate.credential.id, course.candidate.route.upstream_model)
        course.shared.metrics.attempt_ended(course.candidate.route.source.name, "broken_stream")
