"""Vectors or pictures between two formats: one question, one answer."""

from __future__ import annotations

from app.base.errors import AppError
from app.base.writer import Step
from app.gateway.course import Course
from app.gateway.formats import FORMATS
from app.gateway.passages import deliveries, passage
from app.gateway.passages.passage import WholeAnswer
from app.gateway.routing import Candidate
from app.wire.answers import AnswerFacts
from app.wire.faces import Tap
from app.wire.notes import Notes
from app.wire.orders import ImageOrder, Order, Pictures


class Exchanged:
    is_translated = True

    def __init__(self, course: Course, candidate: Candidate, name: str, order: Order) -> None:
        client, self.format = FORMATS[course.request.endpoint.name].order_client, FORMATS[name]
        upstream = self.format.order_upstream
        assert client is not None and upstream is not None
        self._client, self._upstream = client, upstream
        self.endpoint = name
        self._course = course
        self._kind = candidate.route.source.kind
        self._target = passage.target(course, candidate, name)
        notes = Notes()
        self._order = order
        if not self.format.keeps_extras:
            for path in order.unread:
                notes.dropped(path, "not translated")
        self.outgoing = upstream.write_order(self._order, self._target, notes)
        self.notes = notes.all

    def tap(self) -> Tap:
        raise AssertionError("vectors and pictures are not streamed across formats")

    async def whole(self, content: bytes) -> WholeAnswer:
        result = self._upstream.read_result(content, self._target)
        usage = passage.usage_of(self.format, result.usage, self._kind, self.endpoint)
        items = len(result.pictures) if isinstance(result, Pictures) else len(result.vectors)
        facts = AnswerFacts(upstream_id=result.upstream_id, usage=result.usage, items=items)
        problem: AppError | None = None
        if isinstance(result, Pictures) and isinstance(self._order, ImageOrder):
            result, problem = await deliveries.delivered(self._course, result, self._order)
        written = self._client.write_result(result, self._order, passage.reply(self._course), usage)
        is_streamed = isinstance(self._order, ImageOrder) and self._order.is_streamed
        return WholeAnswer(written, "text/event-stream" if is_streamed else "application/json", facts, problem)

    def characters_of(self, content: bytes) -> int:
        return 0

    def last_check(self) -> AppError | None:
        return None

    def keeps(self) -> list[Step]:
        return []
