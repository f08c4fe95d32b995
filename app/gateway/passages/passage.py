"""A passage: how one request goes to one provider and its answer comes back.

    Through    the same format on both sides: values and bytes stay as they are
    Across     a conversation between two formats, by way of the neutral one
    Exchanged  vectors or pictures between two formats
    Generated  an order that takes minutes, see `generations.py`

What a provider cannot be told is noted; the notes go into the header `x-hub-fidelity` and into the record.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Raw, Struct

from app.adapters.providers.kinds import Kind
from app.base.errors import AppError
from app.base.usage import NotAPartition, Usage
from app.base.writer import Step
from app.gateway.course import Course
from app.gateway.formats import Format
from app.gateway.routing import Candidate
from app.wire.answers import AnswerFacts
from app.wire.faces import Tap, Target
from app.wire.neutral_answer import Reply
from app.wire.notes import Note
from app.wire.request import Outgoing


class WholeAnswer(Struct, frozen=True):
    """An answer in one piece, as the client gets it."""

    content: bytes
    content_type: str | None
    """None: as the provider sent it."""
    facts: AnswerFacts
    problem: AppError | None = None
    """What is wrong with an answer that was made, and is billed, all the same."""


class Passage(Protocol):
    @property
    def endpoint(self) -> str:
        """The provider's, by our name."""
        ...

    @property
    def format(self) -> Format:
        """Of the provider's endpoint."""
        ...

    @property
    def outgoing(self) -> Outgoing: ...

    @property
    def notes(self) -> tuple[Note, ...]: ...

    @property
    def is_translated(self) -> bool: ...

    def tap(self) -> Tap:
        """For an answer that is streamed."""
        ...

    async def whole(self, content: bytes) -> WholeAnswer:
        """
        Raises:
            BrokenStream: the answer is not as documented.
            ErrorInside: it is an error.
        """
        ...

    def characters_of(self, content: bytes) -> int:
        """Of the provider's whole answer, for an estimate of its usage."""
        ...

    def last_check(self) -> AppError | None:
        """What is wrong with a stream that is complete."""
        ...

    def keeps(self) -> list[Step]:
        """What later turns need of an answer that was given, for the transaction of its settlement."""
        ...


def usage_of(format_: Format, report: Raw | None, kind: Kind, endpoint: str) -> Usage | None:
    """The usage that a client is told; None where none was reported that can be true."""
    if report is None:
        return None
    try:
        return format_.read_usage(report, kind.usage, endpoint)
    except NotAPartition:
        return None


def target(course: Course, candidate: Candidate, name: str) -> Target:
    kind = candidate.route.source.kind
    return Target(
        model=candidate.route.upstream_model,
        origin=kind.name,
        is_streamed=course.request.body.is_streamed,
        deviations=kind.deviations.get(name, ()),
        reasoning_field=kind.reasoning_field,
        efforts=kind.efforts(candidate.route.upstream_model),
        call_id=course.id,
    )


def reply(course: Course) -> Reply:
    return Reply(
        id=course.id,
        model=course.request.body.model,
        created=course.started_us // 1_000_000,
        wants_usage=course.request.body.wants_usage,
        form=course.request.body.form,
        asked=course.request.body.document or {},
    )
