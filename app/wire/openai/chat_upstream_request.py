"""Chat completions, upstream face: what OpenAI-compatible providers are sent for a conversation.

https://developers.openai.com/api/reference/resources/chat/subresources/completions/methods/create
"""

from __future__ import annotations

from typing import Any

from app.wire import structured
from app.wire.faces import Target
from app.wire.neutral import Conversation, Message, OutputFormat, Text, ToolSpec
from app.wire.notes import Notes
from app.wire.openai.chat_upstream_parts import Parts
from app.wire.request import Outgoing, raw_of, write_document

_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})
_VERBOSITIES = frozenset({"low", "medium", "high"})
_ORDER = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def write_request(conversation: Conversation, target: Target, notes: Notes) -> Outgoing:
    """
    Raises:
        BadRequest: a part cannot be expressed; `param` is its path in the client's document.
    """
    writer = _Writer(conversation, target, notes)
    document = {name: raw_of(value) for name, value in writer.fields().items() if value is not None}
    return Outgoing("application/json", write_document(document, target.deviations))


class _Writer:
    def __init__(self, conversation: Conversation, target: Target, notes: Notes) -> None:
        self._said = conversation
        self._target = target
        self._notes = notes
        self._parts = Parts(target, notes)

    def fields(self) -> dict[str, Any]:
        said, sampling = self._said, self._said.sampling
        return {
            "model": self._target.model,
            "messages": self._messages(),
            "max_completion_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "stop": list(sampling.stop) or None,
            "seed": sampling.seed,
            "presence_penalty": sampling.presence_penalty,
            "frequency_penalty": sampling.frequency_penalty,
            "logit_bias": sampling.logit_bias,
            "response_format": None if said.output is None else _format(said.output),
            "user": said.user,
            "service_tier": self._known("service_tier", said.service_tier, _TIERS),
            "verbosity": self._known("verbosity", said.verbosity, _VERBOSITIES),
            "modalities": list(said.modalities) if said.modalities not in ((), ("text",)) else None,
            "reasoning_effort": self._effort(),
            **self._sampling_beyond(),
            **self._tools(),
            **({"stream": True, "stream_options": {"include_usage": True}} if self._target.is_streamed else {}),
            **said.extras,
        }

    def _sampling_beyond(self) -> dict[str, Any]:
        """Settings that this format has not, or of which the neutral answer has no place."""
        said, sampling = self._said, self._said.sampling
        if sampling.n is not None and sampling.n > 1:
            self._notes.dropped(said.at("n"), "one answer per call across formats")
        if sampling.logprobs is not None:
            self._notes.dropped(said.at("logprobs"), "not translated")
        if sampling.top_k is None:
            return {}
        if self._target.origin == "openrouter":
            # https://openrouter.ai/docs/api-reference/parameters
            return {"top_k": sampling.top_k}
        self._notes.dropped(said.at("top_k"), "OpenAI's format has no top_k")
        return {}

    def _known(self, setting: str, value: str | None, words: frozenset[str]) -> str | None:
        if value is None or value in words:
            return value
        self._notes.dropped(self._said.at(setting), f"{value[:40]} is not known there")
        return None

    def _effort(self) -> str | None:
        """The word that the model knows and that is nearest to the wish."""
        wish = self._said.reasoning
        if wish is None or (wish.effort is None and wish.budget_tokens is None):
            # Who only wants to see thoughts says nothing about how many.
            return None
        path, wanted, known = self._said.at("reasoning"), wish.word(), self._target.efforts
        if known is not None and not known:
            if not wish.is_off:
                self._notes.dropped(path, "the model's thinking cannot be set")
            return None
        word = wanted if known is None or wanted in known else _nearest(wanted, known)
        if wish.budget_tokens is not None and not wish.is_off:
            self._notes.emulated(path, f"a budget became the effort {word}")
        elif word != wanted:
            self._notes.emulated(path, f"the model knows no effort {wanted}: {word}")
        return word

    def _tools(self) -> dict[str, Any]:
        said = self._said
        choice = said.tool_choice
        if not said.tools:
            if choice is not None and choice.mode in ("required", "tool"):
                self._notes.dropped(said.at("tool_choice"), "there is no tool to choose")
            return {}
        fields: dict[str, Any] = {
            "tools": [self._tool(spec) for spec in said.tools],
            "parallel_tool_calls": said.has_parallel_tools,
        }
        if choice is not None:
            by_name = {"type": "function", "function": {"name": choice.name}}
            fields["tool_choice"] = by_name if choice.mode == "tool" else choice.mode
        return fields

    def _tool(self, spec: ToolSpec) -> dict[str, Any]:
        function: dict[str, Any] = {"name": spec.name, "parameters": spec.parameters}
        if spec.description is not None:
            function["description"] = spec.description
        if spec.strict is not None:
            function["strict"] = spec.strict
        return self._parts.marked({"type": "function", "function": function}, spec.cache, spec.at)

    def _messages(self) -> list[dict[str, Any]]:
        said, parts = self._said, self._parts
        messages: list[dict[str, Any]] = []
        if said.system:
            messages.append({"role": "system", "content": parts.texts(said.system)})
        for message in said.messages:
            match message.role:
                case "assistant":
                    messages.append(parts.assistant(message))
                case "system":
                    texts = tuple(part for part in message.parts if isinstance(part, Text))
                    messages.append({"role": "system", "content": parts.texts(texts)})
                case "user":
                    messages += parts.user(message)
        if said.cache_all is not None:
            self._notes.emulated(said.at("cache_all"), "the provider caches by itself")
        self._ask_for_json(messages)
        return messages

    def _ask_for_json(self, messages: list[dict[str, Any]]) -> None:
        """JSON mode is refused unless the word stands in a message; other formats' clients need not write it.

        https://developers.openai.com/api/docs/guides/structured-outputs#json-mode
        """
        said = self._said
        if said.output is None or said.output.mode != "json" or _speaks_of_json(said):
            return
        self._notes.emulated(said.at("output"), "the prompt asks for JSON too")
        messages.insert(0, {"role": "system", "content": "Answer in JSON."})


def _speaks_of_json(said: Conversation) -> bool:
    messages: tuple[Message, ...] = (Message(role="system", parts=said.system), *said.messages)
    return any("json" in part.text.lower() for message in messages for part in message.parts if isinstance(part, Text))


def _nearest(wanted: str, known: tuple[str, ...]) -> str:
    """More rather than less thinking where two are as near; thinking is switched off for nobody who wants some."""
    candidates = [word for word in known if word != "none"] or list(known)
    place = _ORDER.index(wanted)
    return min(candidates, key=lambda word: (abs(_ORDER.index(word) - place), -_ORDER.index(word)))


def _format(output: OutputFormat) -> dict[str, Any]:
    if output.mode == "json":
        return {"type": "json_object"}
    schema: dict[str, Any] = {"name": structured.tool_name(output), "schema": output.schema}
    if output.description is not None:
        schema["description"] = output.description
    if output.strict is not None:
        schema["strict"] = output.strict
    return {"type": "json_schema", "json_schema": schema}
