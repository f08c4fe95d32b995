"""generateContent, upstream face: what Gemini is sent for a conversation. What it answers: `answer_reader`.

https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

from typing import Any

import msgspec

from app.wire import structured
from app.wire.faces import Target
from app.wire.gemini import answer_reader, names, schemas
from app.wire.gemini.history import HistoryWriter
from app.wire.gemini.models import Traits, traits
from app.wire.neutral import Conversation, OutputFormat
from app.wire.notes import Notes
from app.wire.request import Outgoing, raw_of, write_document

read_answer = answer_reader.read_answer
stream_reader = answer_reader.stream_reader

Json = dict[str, Any]

_TIERS = {"flex": "flex", "priority": "priority", "default": "standard", "standard": "standard"}
"""https://ai.google.dev/gemini-api/docs/flex-inference"""
_LEVELS = {
    "none": "MINIMAL",
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "HIGH",
    "max": "HIGH",
}


def write_request(conversation: Conversation, target: Target, notes: Notes) -> Outgoing:
    """
    Raises:
        BadRequest: a part that cannot be expressed; `param` is its path.
    """
    fields = _Writer(conversation, target, notes).fields()
    document = {name: raw_of(value) for name, value in fields.items() if value is not None}
    action = "streamGenerateContent" if target.is_streamed else "generateContent"
    content = write_document(document, target.deviations)
    return Outgoing("application/json", content, path=names.path(target.model, action))


class _Writer:
    def __init__(self, conversation: Conversation, target: Target, notes: Notes) -> None:
        self._traits: Traits = traits(target.model)
        self._notes = notes
        output = conversation.output
        if output is not None and conversation.tools and not self._traits.joins_tools_and_json:
            # "Function calling with a response mime type: 'application/json' is unsupported".
            notes.emulated(conversation.at("output"), "with functions this model takes the schema in the prompt only")
            conversation = _told(conversation, output)
        self._said = conversation
        self._target = target

    def fields(self) -> Json:
        said = self._said
        history = HistoryWriter(said, self._target.origin, self._traits, self._notes)
        contents = history.contents()
        system = [{"text": text.text} for text in said.system if text.text]
        for text in said.system:
            if text.cache is not None:
                self._notes.dropped(f"{text.at}.cache_control", "Gemini caches by itself")
        if said.cache_all is not None:
            self._notes.emulated(said.at("cache_all"), "Gemini caches by itself")
        for setting, value in (("user", said.user), ("verbosity", said.verbosity)):
            if value is not None:
                self._notes.dropped(said.at(setting), "Gemini has no word for it")
        return {
            "systemInstruction": {"parts": system} if system else None,
            "contents": contents,
            "tools": [{"functionDeclarations": self._functions()}] if said.tools else None,
            "toolConfig": self._tool_config() if said.tools else None,
            "generationConfig": self._config() or None,
            "serviceTier": self._service_tier(),
        }

    def _functions(self) -> list[Json]:
        functions: list[Json] = []
        for spec in self._said.tools:
            entry: Json = {"name": spec.name}
            if spec.description is not None:
                entry["description"] = spec.description
            schema = schemas.for_gemini(spec.parameters)
            if schemas.has_parameters(schema):
                entry["parametersJsonSchema"] = schema
            if spec.cache is not None:
                self._notes.dropped(f"{spec.at}.cache_control", "Gemini caches by itself")
            functions.append(entry)
        return functions

    def _tool_config(self) -> Json | None:
        said, choice = self._said, self._said.tool_choice
        if said.has_parallel_tools is False:
            self._notes.dropped(said.at("has_parallel_tools"), "Gemini decides itself how many functions it calls")
        mode = choice.mode if choice is not None else "auto"
        if mode == "none":
            return {"functionCallingConfig": {"mode": "NONE"}}
        if mode == "required":
            return {"functionCallingConfig": {"mode": "ANY"}}
        if choice is not None and mode == "tool":
            return {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": [choice.name]}}
        if any(spec.strict for spec in said.tools):
            # Arguments that follow their schema, and text where no function is called.
            return {"functionCallingConfig": {"mode": "VALIDATED"}}
        return None if choice is None else {"functionCallingConfig": {"mode": "AUTO"}}

    def _config(self) -> Json:
        said, sampling = self._said, self._said.sampling
        config: Json = {
            "maxOutputTokens": sampling.max_tokens,
            "stopSequences": list(sampling.stop) or None,
            "seed": sampling.seed,
            "responseModalities": [word.upper() for word in said.modalities] or None,
            "thinkingConfig": self._thinking(),
        }
        for setting, name, value in (
            ("temperature", "temperature", sampling.temperature),
            ("top_p", "topP", sampling.top_p),
            ("top_k", "topK", sampling.top_k),
            ("presence_penalty", "presencePenalty", sampling.presence_penalty),
            ("frequency_penalty", "frequencyPenalty", sampling.frequency_penalty),
        ):
            if value is not None and self._traits.takes_sampling:
                config[name] = value
            elif value is not None:
                self._notes.dropped(said.at(setting), "this model takes no sampling parameters")
        if sampling.n is not None and sampling.n > 1:
            self._notes.dropped(said.at("n"), "one answer per call across formats")
        if sampling.logprobs is not None:
            self._notes.dropped(said.at("logprobs"), "not translated")
        if sampling.logit_bias is not None:
            self._notes.dropped(said.at("logit_bias"), "Gemini has no word for it")
        if said.output is not None:
            config["responseMimeType"] = "application/json"
            if said.output.schema is not None:
                config["responseJsonSchema"] = schemas.for_gemini(said.output.schema)
        return {name: value for name, value in config.items() if value is not None}

    def _thinking(self) -> Json | None:
        wish, known, path = self._said.reasoning, self._traits, self._said.at("reasoning")
        if wish is None:
            return None
        if not known.thinks:
            if not wish.is_off:
                self._notes.dropped(path, "the model does not think")
            return None
        config: Json = {}
        if wish.is_shown is not None or not wish.is_off:
            config["includeThoughts"] = wish.is_shown is not False
        if wish.effort is None and wish.budget_tokens is None:
            return config
        if not known.has_levels:
            least, most = known.budget
            config["thinkingBudget"] = max(least, wish.budget(most))
            if wish.is_off and least:
                self._notes.emulated(path, f"the model thinks with {least} tokens at least")
            return config
        word = wish.word()
        level = _LEVELS[word]
        if level == "MINIMAL" and not known.has_minimal:
            level = "LOW"
        if word in ("none", "xhigh", "max") or (word == "minimal" and level == "LOW"):
            self._notes.emulated(path, f"the nearest level is {level}")
        elif wish.effort is None:
            self._notes.emulated(path, f"a budget became the level {level}")
        config["thinkingLevel"] = level
        return config

    def _service_tier(self) -> str | None:
        tier = self._said.service_tier
        if tier is None or tier == "auto":
            return None
        if tier not in _TIERS:
            self._notes.dropped(self._said.at("service_tier"), "Gemini has no such tier")
        return _TIERS.get(tier)


def _told(conversation: Conversation, output: OutputFormat) -> Conversation:
    if output.schema is None:
        any_object = OutputFormat(mode="json_schema", schema=raw_of({"type": "object"}))
        conversation = msgspec.structs.replace(conversation, output=any_object)
    return structured.as_prompt(conversation, has_json_mode=False)
