"""The Responses API, upstream face: what providers that have it are sent for a conversation.

https://developers.openai.com/api/reference/resources/responses/methods/create, https://docs.x.ai/docs/guides/chat
"""

from __future__ import annotations

from typing import Any

from app.base.errors import BadRequest
from app.wire import neutral
from app.wire.faces import Target
from app.wire.neutral import (
    Audio,
    CacheMark,
    Conversation,
    File,
    Image,
    Message,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Source,
    Text,
    ToolCall,
    ToolResult,
)
from app.wire.notes import Notes
from app.wire.request import Document, Outgoing, raw_of, write_document
from app.wire.responses import answers, passing

_LEAST_TOKENS = 16
"""OpenAI refuses a smaller `max_output_tokens`."""
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""From nothing to most."""
_HAS_NO = (
    ("stop", "no stop sequences in the Responses API"),
    ("seed", "no seed in the Responses API"),
    ("top_k", "no top_k in the Responses API"),
    ("presence_penalty", "no penalties in the Responses API"),
    ("frequency_penalty", "no penalties in the Responses API"),
    ("logit_bias", "no logit_bias in the Responses API"),
    ("logprobs", "not translated"),
)

read_answer = answers.read_answer
stream_reader = answers.stream_reader


def write_request(conversation: Conversation, target: Target, notes: Notes) -> Outgoing:
    """
    Raises:
        BadRequest: a sound, or a file that another provider keeps; `param` is the path in the client's document.
    """
    writer = _Writer(conversation, target, notes)
    document: Document = {name: raw_of(value) for name, value in writer.fields().items() if value is not None}
    document.update(conversation.extras)
    passing.include(document, target.model)
    return Outgoing("application/json", write_document(document, target.deviations))


class _Writer:
    def __init__(self, conversation: Conversation, target: Target, notes: Notes) -> None:
        self._said = conversation
        self._target = target
        self._notes = notes

    def fields(self) -> dict[str, Any]:
        said = self._said
        self._note_what_is_not_there()
        fields: dict[str, Any] = {
            "model": self._target.model,
            "input": self._input(),
            "store": False,
            "instructions": self._instructions(),
            "max_output_tokens": self._max_tokens(),
            "temperature": said.sampling.temperature,
            "top_p": said.sampling.top_p,
            "tools": [self._tool(spec) for spec in said.tools] or None,
            "text": self._text(),
            "safety_identifier": said.user,
            "service_tier": said.service_tier,
            "stream": True if self._target.is_streamed else None,
        }
        if said.tools:
            fields["parallel_tool_calls"] = said.has_parallel_tools
            if said.tool_choice is not None:
                choice = said.tool_choice
                by_name = {"type": "function", "name": choice.name}
                fields["tool_choice"] = by_name if choice.mode == "tool" else choice.mode
        fields["reasoning"] = self._reasoning()
        return fields

    def _reasoning(self) -> dict[str, Any] | None:
        wish = self._said.reasoning
        if wish is None:
            return None
        fields = {"summary": "auto"} if wish.is_shown else {}
        path, wanted, known = self._said.at("reasoning"), wish.word(), self._target.efforts
        if known is not None and not known:
            if not wish.is_off:
                self._notes.dropped(path, "the model's thinking cannot be set")
            return fields or None
        word = wanted if known is None or wanted in known else _nearest(wanted, known)
        if wish.budget_tokens is not None and not wish.is_off:
            self._notes.emulated(path, f"a budget became the effort {word}")
        elif word != wanted:
            self._notes.emulated(path, f"the model knows no effort {wanted}: {word}")
        return {"effort": word, **fields}

    def _note_what_is_not_there(self) -> None:
        said = self._said
        for name, why in _HAS_NO:
            if getattr(said.sampling, name) not in (None, ()):
                self._notes.dropped(said.at(name), why)
        if said.sampling.n is not None and said.sampling.n > 1:
            self._notes.dropped(said.at("n"), "one answer per call across formats")
        if any(kind != "text" for kind in said.modalities):
            self._notes.dropped(said.at("modalities"), "the Responses API answers with text")

    def _max_tokens(self) -> int | None:
        wanted = self._said.sampling.max_tokens
        if wanted is None or wanted >= _LEAST_TOKENS or self._target.origin != "openai":
            return wanted
        self._notes.emulated(self._said.at("max_tokens"), f"{_LEAST_TOKENS} is the least that OpenAI takes")
        return _LEAST_TOKENS

    def _instructions(self) -> str | None:
        for text in self._said.system:
            self._mark(text.cache, text.at)
        return "\n\n".join(text.text for text in self._said.system) or None

    def _text(self) -> dict[str, Any] | None:
        said = self._said
        text: dict[str, Any] = {}
        if said.output is not None:
            text["format"] = _format(said.output)
        if said.verbosity is not None:
            text["verbosity"] = said.verbosity
        return text or None

    def _tool(self, spec: neutral.ToolSpec) -> dict[str, Any]:
        self._mark(spec.cache, spec.at)
        # Left out, it would mean true here, and schemas that strict mode does not take would be refused.
        tool: dict[str, Any] = {"type": "function", "name": spec.name, "strict": spec.strict or False}
        tool["parameters"] = spec.parameters
        if spec.description is not None:
            tool["description"] = spec.description
        return tool

    def _input(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        for message in self._said.messages:
            if message.role == "assistant":
                items += self._assistant(message)
            elif message.role == "system":
                texts = tuple(part for part in message.parts if isinstance(part, Text))
                items.append({"role": "developer", "content": [self._given(text) for text in texts]})
            else:
                items += self._user(message)
        return items

    def _user(self, message: Message) -> list[dict[str, Any]]:
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        rest = [part for part in message.parts if not isinstance(part, ToolResult)]
        items = [self._result(result) for result in results]
        if rest:
            items.append({"role": "user", "content": [self._given(part) for part in rest]})
        return items

    def _result(self, result: ToolResult) -> dict[str, Any]:
        self._mark(result.cache, result.at)
        output: Any
        if all(isinstance(part, Text) for part in result.parts):
            output = "".join(part.text for part in result.parts if isinstance(part, Text))
        else:
            output = [self._given(part) for part in result.parts]
        return {"type": "function_call_output", "call_id": neutral.legal_id(result.call_id), "output": output}

    def _assistant(self, message: Message) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        for part in message.parts:
            match part:
                case Text():
                    self._mark(part.cache, part.at)
                    _add_said(items, {"type": "output_text", "text": part.text})
                case Refusal():
                    _add_said(items, {"type": "refusal", "refusal": part.text})
                case ToolCall():
                    items.append(
                        {
                            "type": "function_call",
                            "call_id": neutral.legal_id(part.id),
                            "name": part.name,
                            "arguments": bytes(part.arguments).decode(),
                        }
                    )
                case Reasoning():
                    items += self._thought(part)
                case _:
                    self._notes.dropped(part.at, "a picture or file in the assistant's own turn")
        return items

    def _thought(self, thought: Reasoning) -> list[dict[str, Any]]:
        opaque = thought.opaque
        if opaque is None or opaque.origin != self._target.origin:
            # A thought that was not sealed there would be refused.
            self._notes.dropped(thought.at, "the thought of another provider")
            return []
        summary = [{"type": "summary_text", "text": thought.text}] if thought.text else []
        return [{"type": "reasoning", "summary": summary, "encrypted_content": opaque.value}]

    def _given(self, part: Part) -> dict[str, Any]:
        """A part of what the model is given."""
        match part:
            case Text():
                self._mark(part.cache, part.at)
                return {"type": "input_text", "text": part.text}
            case Image():
                self._mark(part.cache, part.at)
                url = _url(part.source, part.at)
                return {"type": "input_image", "image_url": url, "detail": part.detail or "auto"}
            case File():
                self._mark(part.cache, part.at)
                if part.source.url is not None:
                    return {"type": "input_file", "file_url": part.source.url}
                name = part.name or "document.pdf"
                return {"type": "input_file", "filename": name, "file_data": _url(part.source, part.at)}
            case Audio():
                raise BadRequest(f"The Responses API takes no sound ({part.at}).", param=part.at)
            case _:
                raise BadRequest(f"The part at {part.at} cannot stand in a user's message.", param=part.at)

    def _mark(self, mark: CacheMark | None, at: str) -> None:
        if mark is not None:
            self._notes.dropped(f"{at}.cache_control", "the provider caches by itself")


def _nearest(wanted: str, known: tuple[str, ...]) -> str:
    return min(known, key=lambda word: abs(_EFFORTS.index(word) - _EFFORTS.index(wanted)))


def _add_said(items: list[dict[str, Any]], part: dict[str, Any]) -> None:
    """What is said without a call or a thought between is one message."""
    if items and items[-1].get("role") == "assistant":
        items[-1]["content"].append(part)
    else:
        items.append({"role": "assistant", "content": [part]})


def _url(source: Source, at: str) -> str:
    if source.url is not None:
        return source.url
    if source.data is None:
        raise BadRequest(f"The file at {at} is known to another provider only.", param=at)
    return f"data:{source.media_type};base64,{source.data}"


def _format(output: OutputFormat) -> dict[str, Any]:
    if output.mode == "json":
        return {"type": "json_object"}
    format_: dict[str, Any] = {"type": "json_schema", "name": output.name, "schema": output.schema}
    # Left out, it would mean true here.
    format_["strict"] = output.strict or False
    if output.description is not None:
        format_["description"] = output.description
    return format_
