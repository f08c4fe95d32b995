"""Passages: how one request goes to one provider and its answer comes back.

    Through    the same format on both sides: values and bytes stay as they are
    Across     a conversation between two formats, by way of the neutral one
    Exchanged  vectors or pictures between two formats

What a provider cannot be told is noted; the notes go into the header `x-hub-fidelity` and into the record.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Raw, Struct
from msgspec.structs import replace

from app.adapters.providers.kinds import Kind
from app.base.errors import AppError, BadRequest
from app.base.usage import NotAPartition, Usage
from app.gateway.course import Course
from app.gateway.formats import FORMATS, Format, upstream_endpoint
from app.gateway.routing import Candidate
from app.wire import neutral, structured
from app.wire.answers import AnswerFacts
from app.wire.faces import Tap, Target
from app.wire.neutral import Answer, Conversation, OutputFormat, Part, Refusal, Reply, Text, ToolCall
from app.wire.neutral import Reasoning as Thought
from app.wire.notes import Note, Notes
from app.wire.orders import Order, Pictures
from app.wire.request import Outgoing
from app.wire.translation import Translation


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


async def prepare(course: Course, candidate: Candidate) -> Passage:
    """The passage to a candidate, its request written.

    Raises:
        BadRequest: this provider cannot be told what the caller asks; `param` is the path.
    """
    request, kind = course.request, candidate.route.source.kind
    name = upstream_endpoint(kind, request.endpoint)
    assert name is not None, "the router offers only those who serve the endpoint"
    if name == request.endpoint.name and not _must_be_read(course, kind, candidate.route.upstream_model):
        return Through(course, candidate)
    passage = (
        Across(course, candidate, name) if FORMATS[name].upstream is not None else Exchanged(course, candidate, name)
    )
    if course.caller.is_strict:
        lost = next((note for note in passage.notes if note.what == "dropped"), None)
        if lost is not None:
            raise BadRequest(
                f"{kind.title} cannot be told {lost.path} ({lost.why}), and this key is strict.",
                param=lost.path,
                code="not_expressible",
            )
    return passage


class Through:
    is_translated = False
    notes: tuple[Note, ...] = ()

    def __init__(self, course: Course, candidate: Candidate) -> None:
        request, route = course.request, candidate.route
        self.endpoint = request.endpoint.name
        self.format = FORMATS[self.endpoint]
        passing = self.format.passing
        assert passing is not None, "a client's own format can be passed on"
        self._passing = passing
        self._request = request
        deviations = route.source.kind.deviations.get(self.endpoint, ())
        self.outgoing = passing.write(request.body, request.endpoint, route.upstream_model, deviations)

    def tap(self) -> Tap:
        return self._passing.follow(self._request.body, self._request.endpoint)

    async def whole(self, content: bytes) -> WholeAnswer:
        return WholeAnswer(content, None, self._passing.read_facts(content))

    def characters_of(self, content: bytes) -> int:
        return self._passing.characters_of(content)

    def last_check(self) -> AppError | None:
        return None


class Across:
    is_translated = True

    def __init__(self, course: Course, candidate: Candidate, name: str) -> None:
        kind = candidate.route.source.kind
        client, self.format = FORMATS[course.request.endpoint.name].client, FORMATS[name]
        upstream = self.format.upstream
        assert client is not None and upstream is not None
        self._client, self._upstream = client, upstream
        self.endpoint = name
        self._course = course
        self._kind = kind
        self._target = _target(course, candidate, name)
        self._translation: Translation | None = None
        notes = Notes()
        said = conversation_of(course)
        for path in said.unread:
            notes.dropped(path, "not translated")
        self._asked_output = said.output
        self._forced_tool: str | None = None
        said = self._structured(said, notes)
        self.outgoing = upstream.write_request(said, self._target, notes)
        self.notes = notes.all

    def tap(self) -> Translation:
        change = structured.Unfolding(self._forced_tool) if self._forced_tool is not None else None
        reader = self._upstream.stream_reader(self._target)
        writer = self._client.stream_writer(_reply(self._course))
        self._translation = Translation(reader, writer, self._usage, change)
        return self._translation

    async def whole(self, content: bytes) -> WholeAnswer:
        answer = self._upstream.read_answer(content, self._target)
        if self._forced_tool is not None:
            answer = structured.unfold(answer, self._forced_tool)
        if self._way == "prompt" or self._way == "json_mode":
            answer = replace(answer, parts=tuple(_without_fence(part) for part in answer.parts))
        text = "".join(part.text for part in answer.parts if isinstance(part, Text))
        problem = self._problem(text, answer.finish)
        facts = AnswerFacts(upstream_id=answer.upstream_id, finish_reason=answer.finish, usage=answer.usage)
        reply, usage = _reply(self._course), self._usage(answer.usage)
        if self._course.request.body.is_streamed:
            writer = self._client.stream_writer(reply)
            frames = writer.begin() + writer.write(neutral.events_of(answer)) + writer.end(usage)
            return WholeAnswer(frames, "text/event-stream", facts, problem)
        return WholeAnswer(self._client.write_answer(answer, reply, usage), "application/json", facts, problem)

    def characters_of(self, content: bytes) -> int:
        return _characters(self._upstream.read_answer(content, self._target))

    def last_check(self) -> AppError | None:
        translation = self._translation
        if translation is None or translation.text is None:
            return None
        return self._problem(translation.text, translation.finish_reason)

    def _structured(self, said: Conversation, notes: Notes) -> Conversation:
        self._way: structured.Way = "native"
        output = said.output
        if output is None or output.schema is None:
            return said
        self._way = self._kind.structured(self._target.model)
        if self._way == "native":
            return said
        path = said.at("output")
        if self._way == "forced_tool":
            notes.emulated(path, "the schema is a tool that the model has to call")
            self._forced_tool = structured.tool_name(output)
            return structured.as_forced_tool(said)
        notes.emulated(path, "the schema stands in the prompt")
        return structured.as_prompt(said, has_json_mode=self._way == "json_mode")

    def _problem(self, text: str, finish: str | None) -> AppError | None:
        output: OutputFormat | None = self._asked_output
        if self._way == "native" or output is None or output.schema is None or finish not in ("stop", "stop_sequence"):
            return None
        return structured.problem(text, output.schema)

    def _usage(self, report: Raw | None) -> Usage | None:
        return usage_of(self.format, report, self._kind, self.endpoint)


class Exchanged:
    is_translated = True

    def __init__(self, course: Course, candidate: Candidate, name: str) -> None:
        client, self.format = FORMATS[course.request.endpoint.name].order_client, FORMATS[name]
        upstream = self.format.order_upstream
        assert client is not None and upstream is not None
        self._client, self._upstream = client, upstream
        self.endpoint = name
        self._course = course
        self._kind = candidate.route.source.kind
        self._target = _target(course, candidate, name)
        notes = Notes()
        self._order: Order = client.read_order(course.request.body)
        for path in self._order.unread:
            notes.dropped(path, "not translated")
        self.outgoing = upstream.write_order(self._order, self._target, notes)
        self.notes = notes.all

    def tap(self) -> Tap:
        raise AssertionError("vectors and pictures are not streamed across formats")

    async def whole(self, content: bytes) -> WholeAnswer:
        result = self._upstream.read_result(content, self._target)
        usage = usage_of(self.format, result.usage, self._kind, self.endpoint)
        items = len(result.pictures) if isinstance(result, Pictures) else len(result.vectors)
        facts = AnswerFacts(upstream_id=result.upstream_id, usage=result.usage, items=items)
        written = self._client.write_result(result, self._order, _reply(self._course), usage)
        return WholeAnswer(written, "application/json", facts)

    def characters_of(self, content: bytes) -> int:
        return 0

    def last_check(self) -> AppError | None:
        return None


def conversation_of(course: Course) -> Conversation:
    """What the caller says, read once for all attempts."""
    if course.conversation is None:
        client = FORMATS[course.request.endpoint.name].client
        assert client is not None
        course.conversation = client.read_conversation(course.request.body)
    return course.conversation


def usage_of(format_: Format, report: Raw | None, kind: Kind, endpoint: str) -> Usage | None:
    """The usage that a client is told; None where none was reported that can be true."""
    if report is None:
        return None
    try:
        return format_.read_usage(report, kind.usage, endpoint)
    except NotAPartition:
        return None


def _must_be_read(course: Course, kind: Kind, upstream_model: str) -> bool:
    """Whether a request must be understood although the provider speaks its format: a schema that it cannot promise."""
    document = course.request.body.document
    if course.request.endpoint.name != "chat.completions" or document is None:
        return False
    wanted = document.get("response_format")
    return wanted is not None and b'"json_schema"' in bytes(wanted) and kind.structured(upstream_model) != "native"


def _target(course: Course, candidate: Candidate, name: str) -> Target:
    kind = candidate.route.source.kind
    return Target(
        model=candidate.route.upstream_model,
        origin=kind.name,
        is_streamed=course.request.body.is_streamed,
        deviations=kind.deviations.get(name, ()),
        reasoning_field=kind.reasoning_field,
        call_id=course.id,
    )


def _reply(course: Course) -> Reply:
    return Reply(
        id=course.id,
        model=course.request.body.model,
        created=course.started_us // 1_000_000,
        wants_usage=course.request.body.wants_usage,
    )


def _without_fence(part: Part) -> Part:
    return replace(part, text=structured.without_fence(part.text)) if isinstance(part, Text) else part


def _characters(answer: Answer) -> int:
    count = 0
    for part in answer.parts:
        match part:
            case Text() | Thought() | Refusal():
                count += len(part.text)
            case ToolCall():
                count += len(bytes(part.arguments))
            case _:
                pass
    return count
