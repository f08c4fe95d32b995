"""Converse, what we send: one conversation as a request for any model of Bedrock.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

import re
from typing import Any, cast

import msgspec
from msgspec import Raw

from app.base.errors import BadRequest
from app.wire.bedrock import thinking
from app.wire.bedrock.converse_messages import Block, CachePoints, has_tool_blocks, messages
from app.wire.bedrock.families import Model, model_of
from app.wire.faces import Target
from app.wire.neutral import Conversation, OutputFormat, ToolSpec, names_of_calls
from app.wire.notes import Notes
from app.wire.request import Outgoing, raw_of, write_document

_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_METADATA = re.compile(r"[A-Za-z0-9\s:_@$#=/+,.\-]{1,256}")
_TIERS = {
    "default": "default",
    "standard_only": "default",
    "flex": "flex",
    "priority": "priority",
    "reserved": "reserved",
}
_NO_SCHEMAS = frozenset({"enum", "const", "default", "examples"})
_NAMED = ("properties", "$defs", "definitions")
"""Where a schema holds schemas by names of its author's."""
_NO_TOOLS = "Do not call any tool in this turn."
_JSON_ALONE = "Answer with one JSON object and with nothing else: no explanation, no code fence."


def write_request(conversation: Conversation, target: Target, notes: Notes) -> Outgoing:
    writer = _Writer(conversation, target, notes)
    document = {name: raw_of(value) for name, value in writer.fields().items() if value}
    return Outgoing("application/json", write_document(document, target.deviations))


class _Writer:
    def __init__(self, said: Conversation, target: Target, notes: Notes) -> None:
        self._said = said
        self._origin = target.origin
        self._notes = notes
        self._model: Model = model_of(target.model)
        self._thinking = thinking.wished(said, self._model, target.origin, notes)
        self._cache = CachePoints(self._model, notes)
        self._told: list[str] = []
        """What is said in the system prompt because Converse has no field for it."""

    def fields(self) -> dict[str, Any]:
        said = self._said
        # In the order in which a prompt is cached: the points that are too many are the last ones.
        tools = self._tools()
        system = self._system()
        history = messages(said, self._model, self._origin, self._cache, self._notes)
        fields: dict[str, Any] = {
            "messages": history,
            "toolConfig": self._tool_config(tools, history),
            "outputConfig": self._output(),
            "inferenceConfig": self._inference(),
            "additionalModelRequestFields": self._additional(),
            "requestMetadata": self._metadata(),
            "serviceTier": self._tier(),
        }
        # Last, so that a cached prefix stays the same.
        fields["system"] = [*system, *({"text": text} for text in self._told)]
        if said.sampling.stop and self._model.claude is not None:
            # Else only that one of them was met is told.
            fields["additionalModelResponseFieldPaths"] = ["/stop_sequence"]
        self._note_the_rest()
        return fields

    def _system(self) -> list[Block]:
        blocks: list[Block] = []
        for text in self._said.system:
            if text.text.strip():
                blocks.append({"text": text.text})
                blocks += self._cache.after(text.cache, "system", text.at)
        return blocks

    def _tools(self) -> list[Block]:
        blocks: list[Block] = []
        for spec in self._said.tools:
            blocks.append({"toolSpec": self._tool(spec)})
            blocks += self._cache.after(spec.cache, "tools", spec.at)
        return blocks

    def _tool(self, spec: ToolSpec) -> Block:
        if not _TOOL_NAME.fullmatch(spec.name):
            at = spec.at or "tools"
            raise BadRequest(
                f"The tool at {at} needs a name of 1 to 64 letters, digits, _ and - for Amazon Bedrock.", param=at
            )
        tool: Block = {"name": spec.name, "inputSchema": {"json": _input_schema(spec.parameters)}}
        if spec.description:
            tool["description"] = spec.description
        if spec.strict:
            if self._model.structured == "native":
                tool["strict"] = True
            else:
                self._notes.dropped(f"{spec.at or 'tools'}.strict", "this model promises no schema of a tool")
        return tool

    def _tool_config(self, tools: list[Block], history: list[Block]) -> Block | None:
        choice = self._said.tool_choice
        mode = choice.mode if choice is not None and tools else "auto"
        is_needed = has_tool_blocks(history)
        if mode == "none" and not is_needed:
            return None
        if not tools:
            return {"tools": self._tools_of_the_history()} if is_needed else None
        config: Block = {"tools": tools}
        at = self._said.at("tool_choice")
        if mode == "none":
            # Calls in the history are refused without the tools.
            self._notes.emulated(at, "the model is told to call no tool")
            self._told.append(_NO_TOOLS)
        elif mode in ("required", "tool"):
            named = choice.name if choice is not None and mode == "tool" else None
            config["toolChoice"] = self._forced(named, at)
        return {name: value for name, value in config.items() if value is not None}

    def _forced(self, name: str | None, at: str) -> Block | None:
        possible = self._model.tool_choices
        if name is not None and "tool" in possible:
            return {"tool": {"name": name}}
        if "any" not in possible:
            self._notes.dropped(at, "this model chooses by itself whether it calls a tool")
            return None
        if name is not None and len(self._said.tools) > 1:
            self._notes.emulated(at, "the model has to call a tool, and chooses which")
        return {"any": {}}

    def _tools_of_the_history(self) -> list[Block]:
        self._notes.defaulted("tools", "Bedrock takes calls in a history only beside tools")
        names = dict.fromkeys(names_of_calls(self._said).values())
        return [{"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}}} for name in names]

    def _output(self) -> Block | None:
        output = self._said.output
        if output is None:
            return None
        if output.mode == "json" or output.schema is None:
            self._notes.emulated(self._said.at("output"), "JSON is asked for in the system prompt")
            self._told.append(_JSON_ALONE)
            return None
        schema: Block = {"schema": self._closed(output), "name": output.name}
        if output.description:
            schema["description"] = output.description
        return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}}

    def _closed(self, output: OutputFormat) -> str:
        """The schema as Bedrock wants it: as text, and its objects closed. What fits it fits the caller's too.

        https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html
        """
        assert output.schema is not None
        decoded: Any = msgspec.json.decode(output.schema)
        if _close(decoded):
            self._notes.emulated(self._said.at("output"), "objects have no fields beside those of the schema")
        return msgspec.json.encode(decoded).decode()

    def _inference(self) -> Block:
        said, sampling = self._said, self._said.sampling
        temperature, top_p = sampling.temperature, sampling.top_p
        if temperature is not None and temperature > 1:
            self._notes.emulated(said.at("temperature"), "Bedrock's scale ends at 1")
            temperature = 1
        refuses = not self._model.takes_sampling or self._thinking.forbids_sampling
        thinks = self._thinking.is_on and self._model.claude is not None
        if temperature is not None and (refuses or (thinks and temperature != 1)):
            self._notes.dropped(said.at("temperature"), "the model takes none here")
            temperature = None
        if top_p is not None and (refuses or (thinks and top_p < 0.95)):
            self._notes.dropped(said.at("top_p"), "the model takes none here")
            top_p = None
        if temperature is not None and top_p is not None and not self._model.takes_both_samplings:
            self._notes.dropped(said.at("top_p"), "the model takes it or temperature, not both")
            top_p = None
        values = {
            "maxTokens": sampling.max_tokens,
            "temperature": temperature,
            "topP": top_p,
            "stopSequences": list(sampling.stop) or None,
        }
        return {name: value for name, value in values.items() if value is not None}

    def _additional(self) -> Block:
        """What only some models have: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html"""
        fields: Block = dict(self._thinking.fields)
        top_k = self._said.sampling.top_k
        if top_k is None:
            return fields
        model = self._model
        if model.claude is not None and model.takes_sampling and not self._thinking.is_on:
            fields["top_k"] = top_k
        elif model.is_nova and not self._thinking.forbids_sampling:
            fields["inferenceConfig"] = {"topK": top_k}
        elif model.maker == "cohere":
            fields["k"] = top_k
        else:
            self._notes.dropped(self._said.at("top_k"), "the model takes none here")
        return fields

    def _metadata(self) -> Block | None:
        """It goes into the account's own log of invocations, where abuse would be looked into."""
        user = self._said.user
        if user is None:
            return None
        if not _METADATA.fullmatch(user):
            self._notes.dropped(self._said.at("user"), "Bedrock's metadata takes no such text")
            return None
        return {"user": user}

    def _tier(self) -> Block | None:
        tier = self._said.service_tier
        if tier is None or tier == "auto":
            return None
        if tier not in _TIERS:
            self._notes.dropped(self._said.at("service_tier"), "Bedrock has no such tier")
            return None
        return {"type": _TIERS[tier]}

    def _note_the_rest(self) -> None:
        said, sampling = self._said, self._said.sampling
        left_out: dict[str, bool] = {
            "seed": sampling.seed is not None,
            "presence_penalty": bool(sampling.presence_penalty),
            "frequency_penalty": bool(sampling.frequency_penalty),
            "logprobs": sampling.logprobs is not None,
            "logit_bias": sampling.logit_bias is not None,
            "verbosity": said.verbosity is not None,
            "modalities": any(one != "text" for one in said.modalities),
            "has_parallel_tools": said.has_parallel_tools is False and bool(said.tools),
        }
        for setting, is_there in left_out.items():
            if is_there:
                self._notes.dropped(said.at(setting), "Converse has no field for it")
        if sampling.n is not None and sampling.n > 1:
            self._notes.dropped(said.at("n"), "one answer per call across formats")


def _input_schema(parameters: Raw) -> Raw:
    """What a tool takes is an object; Bedrock wants that said, and clients leave it out."""
    decoded: Any = msgspec.json.decode(parameters)
    fields = cast(dict[str, Any], decoded) if isinstance(decoded, dict) else {}
    return parameters if fields.get("type") == "object" else raw_of({**fields, "type": "object"})


def _close(schema: Any) -> int:
    """Closes every object with properties, in place; how many there were to close."""
    if isinstance(schema, list):
        return sum(_close(inner) for inner in cast(list[Any], schema))
    if not isinstance(schema, dict):
        return 0
    fields = cast(dict[str, Any], schema)
    closed = sum(_close(inner) for name, inner in fields.items() if name not in _NO_SCHEMAS and name not in _NAMED)
    for name in _NAMED:
        named: Any = fields.get(name)
        closed += sum(_close(inner) for inner in cast(dict[str, Any], named).values()) if isinstance(named, dict) else 0
    is_object = fields.get("type") == "object" and isinstance(fields.get("properties"), dict)
    if is_object and "additionalProperties" not in fields:
        fields["additionalProperties"] = False
        closed += 1
    return closed
