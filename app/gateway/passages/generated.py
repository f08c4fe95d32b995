"""The passage of an order whose answer is a job: written for a provider, its job's id read from what comes back."""

from __future__ import annotations

from typing import Literal

from msgspec.structs import replace

from app.base.clock import MICROSECONDS
from app.base.errors import AppError, BadRequest, NotExpressible
from app.base.writer import Step
from app.gateway.course import Course
from app.gateway.formats import FORMATS, upstream_endpoint
from app.gateway.passages import deliveries
from app.gateway.passages.passage import WholeAnswer
from app.gateway.routing import Candidate
from app.wire.answers import AnswerFacts
from app.wire.faces import Tap, Target
from app.wire.neutral import Source
from app.wire.notes import Notes
from app.wire.videos import VideoClient, VideoJob, VideoOrder, VideoUpstream


async def prepare(course: Course, candidate: Candidate) -> Generated:
    """As `preparing.prepare`. An order is always read and written again, also where the provider's format is the
    client's: what comes back is a job of the hub's own."""
    kind = candidate.route.source.kind
    name = upstream_endpoint(kind, course.request.endpoint, candidate.route.upstream_model)
    assert name is not None, "the router offers only those who serve the endpoint"
    order = client_of(course).read_video(course.request.body)
    if f"image@{name}" not in kind.fetches_urls:
        order = replace(
            order,
            image=await _with_bytes(course, order, "image"),
            last_frame=await _with_bytes(course, order, "last_frame"),
        )
    target = Target(
        model=candidate.route.upstream_model,
        origin=kind.name,
        is_streamed=False,
        deviations=kind.deviations.get(name, ()),
        call_id=course.id,
    )
    try:
        passage = Generated(course, name, order, target)
    except BadRequest as refusal:
        raise NotExpressible(refusal.sentence, param=refusal.param, code=refusal.code) from None
    lost = next((note for note in passage.notes if note.what == "dropped"), None)
    if course.caller.is_strict and lost is not None:
        raise NotExpressible(
            f"{kind.title} cannot be told {lost.path} ({lost.why}), and this key is strict.", param=lost.path
        )
    return passage


async def _with_bytes(course: Course, order: VideoOrder, setting: Literal["image", "last_frame"]) -> Source | None:
    source = order.image if setting == "image" else order.last_frame
    return None if source is None else await deliveries.fetched(course, source, order.at(setting))


class Generated:
    is_translated = True

    def __init__(self, course: Course, name: str, order: VideoOrder, target: Target) -> None:
        """
        Raises:
            BadRequest: this provider cannot be told what the caller asks.
        """
        self.endpoint = name
        self.format = FORMATS[name]
        self.client = client_of(course)
        self.order = order
        self.job_id = ""
        """The provider's, once it has answered."""
        self._course = course
        upstream = self.format.video_upstream
        assert upstream is not None
        self.upstream: VideoUpstream = upstream
        notes = Notes()
        if name != course.request.endpoint.name:
            for path in order.unread:
                notes.dropped(path, "not translated")
        self.outgoing = upstream.write_video(order, target, notes)
        self.notes = notes.all
        self.seconds = order.seconds or upstream.default_seconds
        self.size = f"{order.width}x{order.height}" if order.width is not None else ""

    def tap(self) -> Tap:
        raise AssertionError("a job is not streamed")

    async def whole(self, content: bytes) -> WholeAnswer:
        self.job_id = self.upstream.read_started(content)
        job = VideoJob(
            id=self._course.id,
            model=self._course.request.body.model,
            state="queued",
            progress=0,
            created=self._course.started_us // MICROSECONDS,
            seconds=self.seconds,
            size=self.size,
        )
        return WholeAnswer(self.client.write_job(job), "application/json", AnswerFacts(upstream_id=self.job_id))

    def keeps(self) -> list[Step]:
        return []

    def characters_of(self, content: bytes) -> int:
        return 0

    def last_check(self) -> AppError | None:
        return None


def client_of(course: Course) -> VideoClient:
    client = FORMATS[course.request.endpoint.name].video_client
    assert client is not None, "the endpoint's task is video"
    return client
