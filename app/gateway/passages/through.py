"""The same format on both sides: values and bytes stay as they are, and a tap reads what the record needs."""

from __future__ import annotations

from app.base.errors import AppError
from app.base.writer import Step
from app.gateway import response_store, signatures
from app.gateway.course import Course
from app.gateway.formats import FORMATS
from app.gateway.passages import heard, passage
from app.gateway.passages.passage import WholeAnswer
from app.gateway.routing import Candidate
from app.wire.faces import Tap
from app.wire.neutral import Part
from app.wire.notes import Notes
from app.wire.responses import passing as responses_passing
from app.wire.responses.tap import StreamTap as ResponsesTap


class Through:
    is_translated = False

    def __init__(self, course: Course, candidate: Candidate) -> None:
        request, route = course.request, candidate.route
        self.endpoint = request.endpoint.name
        self.format = FORMATS[self.endpoint]
        passing = self.format.passing
        assert passing is not None, "a client's own format can be passed on"
        self._passing = passing
        self._request = request
        self._course = course
        self._candidate = candidate
        self._kind = route.source.kind
        self._tap: Tap | None = None
        self._content = b""
        deviations = route.source.kind.deviations.get(self.endpoint, ())
        body, notes = request.body, Notes()
        if self.endpoint == "responses":
            body = responses_passing.for_provider(body, self._kind.name, notes)
        self.notes = notes.all
        self.outgoing = passing.write(body, request.endpoint, route.upstream_model, deviations, course.bill.most_output)

    def tap(self) -> Tap:
        self._tap = self._passing.follow(self._request.body, self._request.endpoint)
        if signatures.is_heard(self._course, self._kind):
            self._tap = heard.Listening(self._tap)
        return self._tap

    async def whole(self, content: bytes) -> WholeAnswer:
        self._content = content
        return WholeAnswer(content, None, self._passing.read_facts(content))

    def characters_of(self, content: bytes) -> int:
        return self._passing.characters_of(content)

    def last_check(self) -> AppError | None:
        return None

    def keeps(self) -> list[Step]:
        tap = self._tap
        if self.endpoint != "responses":
            return signatures.keep(self._course, self._candidate, self._heard())
        response = tap.response if isinstance(tap, ResponsesTap) else self._content
        kept = signatures.keep_passed(self._course, self._candidate, response)
        return [*kept, *response_store.steps(self._course, response, self._kind.name)]

    def _heard(self) -> tuple[Part, ...]:
        upstream = self.format.upstream
        if upstream is None or not signatures.is_heard(self._course, self._kind):
            return ()
        target = passage.target(self._course, self._candidate, self.endpoint)
        if isinstance(self._tap, heard.Listening):
            return self._tap.parts(upstream, target)
        return heard.parts_of(self._content, upstream, target)
