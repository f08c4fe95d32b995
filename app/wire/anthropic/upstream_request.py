"""Messages, upstream face: what Anthropic is sent for a conversation.

https://platform.claude.com/docs/en/api/messages/create
"""

from __future__ import annotations

from typing import Any

from app.wire.anthropic import schemas, upstream_history
from app.wire.anthropic.models import DEFAULT_MOST, claude
from app.wire.anthropic.thinking import Thinking
from app.wire.anthropic.upstream_parts import Parts, cache_control, marked
from app.wire.faces import Target
from app.wire.neutral import Conversation, Text, ToolSpec
from app.wire.notes import Notes
from app.wire.request import Outgoing, raw_of, write_document

_TIERS = {"auto": "auto", "default": "standard_only", "standard": "standard_only", "standard_only": "standard_only"}
_JSON = Text(text="Answer with one JSON value and with nothing else: no explanation, no code fence.")


def write_request(conversation: Conversation, target: Target, notes: Notes) -> Outgoing:
    """
    Raises:
        BadRequest: a part cannot be expressed; `param` is its path in the client's document.
    """
    fields = _Writer(conversation, target, notes).fields()
    document = {name: raw_of(value) for name, value in fields.items() if value is not None}
    return Outgoing("application/json", write_document(document, target.deviations))


class _Writer:
    def __init__(self, conversation: Conversation, target: Target, notes: Notes) -> None:
        self._said = conversation
        self._target = target
        self._notes = notes
        self._model = claude(target.model)
        self._parts = Parts(target, notes)

    def fields(self) -> dict[str, Any]:
        said, notes = self._said, self._notes
        messages = upstream_history.write(said, self._model, self._parts, notes)
        max_tokens = said.sampling.max_tokens
        if max_tokens is None:
            max_tokens = min(DEFAULT_MOST, self._model.most_tokens)
            notes.defaulted(said.at("max_tokens"), f"the format needs one: {max_tokens}")
        choice, is_forced = self._choice()
        thinking = Thinking(said, self._model, notes)
        thought = thinking.fields(
            max_tokens, is_forced=is_forced, is_loop=upstream_history.is_loop_without_thoughts(messages)
        )
        self._note_what_is_lost()
        return {
            "model": self._target.model,
            "max_tokens": max_tokens,
            "system": self._system(),
            "messages": messages,
            "tools": [self._tool(spec) for spec in said.tools] or None,
            "tool_choice": choice,
            "stop_sequences": self._stops(),
            **self._sampling(is_thinking=thinking.is_on),
            "thinking": thought,
            "output_config": self._output_config(thinking.effort),
            "metadata": {"user_id": said.user} if said.user else None,
            "service_tier": self._tier(),
            "cache_control": cache_control(said.cache_all) if said.cache_all is not None else None,
            "stream": True if self._target.is_streamed else None,
            **said.extras,
        }

    def _system(self) -> Any:
        said = self._said
        texts = said.system
        if said.output is not None and said.output.mode == "json":
            self._notes.emulated(said.at("output"), "the prompt asks for JSON")
            texts = (*texts, _JSON)
        return self._parts.system(texts)

    def _tool(self, spec: ToolSpec) -> dict[str, Any]:
        entry: dict[str, Any] = {"name": spec.name, "input_schema": schemas.as_object(spec.parameters)}
        if spec.description:
            entry["description"] = spec.description
        if spec.strict:
            if self._model.has_native_schemas:
                entry["input_schema"], lost = schemas.narrowed(entry["input_schema"])
                entry["strict"] = True
                if lost:
                    self._notes.dropped(f"{spec.at}.strict", f"not promised: {', '.join(lost)}")
            else:
                self._notes.dropped(f"{spec.at}.strict", "the model cannot promise it")
        return marked(entry, spec.cache)

    def _choice(self) -> tuple[dict[str, Any] | None, bool]:
        """What is sent, and whether it forces a call."""
        said, choice = self._said, self._said.tool_choice
        if not said.tools:
            if choice is not None and choice.mode in ("required", "tool"):
                self._notes.dropped(said.at("tool_choice"), "there is no tool to choose")
            return None, False
        mode = choice.mode if choice is not None else "auto"
        if mode == "none":
            return {"type": "none"}, False
        is_forced = mode in ("required", "tool")
        if is_forced and not self._model.can_be_forced:
            self._notes.dropped(said.at("tool_choice"), "the model cannot be made to call a tool; it chooses")
            mode, is_forced = "auto", False
        single = {"disable_parallel_tool_use": True} if said.has_parallel_tools is False else {}
        if mode == "tool" and choice is not None:
            return {"type": "tool", "name": choice.name, **single}, True
        if mode == "auto" and not single and choice is None:
            return None, False
        return {"type": "any" if is_forced else "auto", **single}, is_forced

    def _stops(self) -> list[str] | None:
        stops = [stop for stop in self._said.sampling.stop if stop.strip()]
        if len(stops) < len(self._said.sampling.stop):
            self._notes.dropped(self._said.at("stop"), "a stop sequence must be more than white space")
        return stops or None

    def _sampling(self, *, is_thinking: bool) -> dict[str, Any]:
        """https://platform.claude.com/docs/en/build-with-claude/extended-thinking#feature-compatibility"""
        said, sampling = self._said, self._said.sampling
        temperature, top_p, top_k = sampling.temperature, sampling.top_p, sampling.top_k
        if temperature is not None and temperature > 1:
            self._notes.emulated(said.at("temperature"), "1 is the highest")
            temperature = 1
        if not self._model.takes_sampling or is_thinking:
            why = "not with thinking" if self._model.takes_sampling else "the model does not take it"
            if temperature not in (None, 1):
                self._notes.dropped(said.at("temperature"), why)
            if top_p not in (None, 1):
                self._notes.dropped(said.at("top_p"), why)
            if top_k is not None:
                self._notes.dropped(said.at("top_k"), why)
            return {}
        if temperature is not None and top_p is not None and not self._model.takes_both_samplings:
            if top_p != 1:
                self._notes.dropped(said.at("top_p"), "not beside a temperature")
            top_p = None
        return {"temperature": temperature, "top_p": top_p, "top_k": top_k}

    def _output_config(self, effort: str | None) -> dict[str, Any] | None:
        config: dict[str, Any] = {} if effort is None else {"effort": effort}
        output = self._said.output
        if output is not None and output.schema is not None:
            schema, lost = schemas.narrowed(output.schema)
            if lost:
                self._notes.dropped(self._said.at("output"), f"not promised: {', '.join(lost)}")
            config["format"] = {"type": "json_schema", "schema": schema}
        return config or None

    def _tier(self) -> str | None:
        tier = self._said.service_tier
        if tier is None or tier in _TIERS:
            return None if tier is None else _TIERS[tier]
        self._notes.dropped(self._said.at("service_tier"), f"{tier[:40]} is not known there")
        return None

    def _note_what_is_lost(self) -> None:
        said, sampling = self._said, self._said.sampling
        lost = {
            "seed": sampling.seed is not None,
            "presence_penalty": bool(sampling.presence_penalty),
            "frequency_penalty": bool(sampling.frequency_penalty),
            "logit_bias": sampling.logit_bias is not None,
            "logprobs": sampling.logprobs is not None,
            "n": sampling.n is not None and sampling.n > 1,
            "verbosity": said.verbosity is not None,
            "modalities": bool(set(said.modalities) - {"text"}),
        }
        for setting, is_lost in lost.items():
            if is_lost:
                self._notes.dropped(said.at(setting), "Anthropic's format has nothing like it")
