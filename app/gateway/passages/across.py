"""A conversation between two formats, by way of the neutral one."""

from __future__ import annotations

from msgspec import Raw
from msgspec.structs import replace

from app.base.errors import AppError
from app.base.usage import Usage
from app.base.writer import Step
from app.gateway import response_store, signatures
from app.gateway.course import Course
from app.gateway.formats import FORMATS
from app.gateway.passages import passage
from app.gateway.passages.passage import WholeAnswer
from app.gateway.routing import Candidate
from app.wire import neutral_answer, structured
from app.wire.answers import AnswerFacts
from app.wire.faces import StreamWriter
from app.wire.neutral import Conversation, OutputFormat, Part, Text
from app.wire.neutral_answer import Answer
from app.wire.notes import Notes
from app.wire.responses.items import HOME as RESPONSES_HOME
from app.wire.responses.writing import StreamWriter as ResponseWriter
from app.wire.translation import Translation, characters_of


class Across:
    is_translated = True

    def __init__(self, course: Course, candidate: Candidate, name: str, said: Conversation) -> None:
        kind = candidate.route.source.kind
        client, self.format = FORMATS[course.request.endpoint.name].client, FORMATS[name]
        upstream = self.format.upstream
        assert client is not None and upstream is not None
        self._client, self._upstream = client, upstream
        self.endpoint = name
        self._course = course
        self._candidate = candidate
        self._kind = kind
        self._target = passage.target(course, candidate, name)
        self._translation: Translation | None = None
        self._answer: Answer | None = None
        self._writer: StreamWriter | None = None
        self._written = b""
        notes = Notes()
        if name != course.request.endpoint.name:
            said = replace(said, extras={})
        for path in said.unread:
            if path not in said.extras:
                notes.dropped(path, "not translated")
        for path, how in said.emulated:
            notes.emulated(path, how)
        most = course.bill.most_output
        if most is not None and (said.sampling.max_tokens is None or said.sampling.max_tokens > most):
            said = replace(said, sampling=replace(said.sampling, max_tokens=most))
        self._asked_output = said.output
        self._forced_tool: str | None = None
        said = self._structured(said, notes)
        self.outgoing = upstream.write_request(said, self._target, notes)
        self.notes = notes.all

    def tap(self) -> Translation:
        change = structured.change(self._way, self._forced_tool)
        reader = self._upstream.stream_reader(self._target)
        writer = self._writer = self._client.stream_writer(passage.reply(self._course))
        self._translation = Translation(reader, writer, self._usage, change)
        return self._translation

    async def whole(self, content: bytes) -> WholeAnswer:
        answer = self._upstream.read_answer(content, self._target)
        if self._forced_tool is not None:
            answer = structured.unfold(answer, self._forced_tool)
        if self._way == "prompt" or self._way == "json_mode":
            answer = replace(answer, parts=tuple(_without_fence(part) for part in answer.parts))
        self._answer = answer
        text = "".join(part.text for part in answer.parts if isinstance(part, Text))
        problem = self._problem(text, answer.finish)
        facts = AnswerFacts(
            upstream_id=answer.upstream_id,
            finish_reason=answer.finish,
            usage=answer.usage,
            service_tier=answer.service_tier,
        )
        reply, usage = passage.reply(self._course), self._usage(answer.usage)
        if self._course.request.body.is_streamed:
            writer = self._writer = self._client.stream_writer(reply)
            frames = writer.begin() + writer.write(neutral_answer.events_of(answer)) + writer.end(usage)
            return WholeAnswer(frames, "text/event-stream", facts, problem)
        self._written = self._client.write_answer(answer, reply, usage)
        return WholeAnswer(self._written, "application/json", facts, problem)

    def characters_of(self, content: bytes) -> int:
        return characters_of(self._upstream.read_answer(content, self._target))

    def last_check(self) -> AppError | None:
        translation = self._translation
        if translation is None or translation.text is None:
            return None
        return self._problem(translation.text, translation.finish_reason)

    def keeps(self) -> list[Step]:
        parts = self._answer.parts if self._answer is not None else ()
        if self._translation is not None:
            parts = self._translation.parts
        response = self._writer.response if isinstance(self._writer, ResponseWriter) else self._written
        return [
            *signatures.keep(self._course, self._candidate, parts),
            *response_store.steps(self._course, response, RESPONSES_HOME),
        ]

    def _structured(self, said: Conversation, notes: Notes) -> Conversation:
        self._way: structured.Way = "native"
        output = said.output
        if output is None or output.schema is None:
            return said
        self._way = self._kind.structured(self._target.model)
        if self._way == "native":
            return said
        # Before anything is spent: an answer could not be checked against it.
        structured.check(output.schema, said.at("output"))
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
        return passage.usage_of(self.format, report, self._kind, self.endpoint)


def _without_fence(part: Part) -> Part:
    return replace(part, text=structured.without_fence(part.text)) if isinstance(part, Text) else part
