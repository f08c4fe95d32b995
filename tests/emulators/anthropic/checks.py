"""Refuses what the Messages API refuses: each check raises `Refusal` with the path and words of its kind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tests.emulators.anthropic import blocks
from tests.emulators.anthropic.models import Model
from tests.emulators.checks import Refusal

Body = dict[str, Any]

_KNOWN = frozenset(
    {
        *(
            "model",
            "messages",
            "max_tokens",
            "system",
            "tools",
            "tool_choice",
            "stop_sequences",
            "temperature",
            "top_p",
        ),
        *("top_k", "thinking", "output_config", "metadata", "service_tier", "stream", "cache_control", "container"),
        *("inference_geo", "speed", "diagnostics"),
    }
)
_COUNTED = _KNOWN - {"max_tokens", "temperature", "top_p", "top_k", "stop_sequences", "metadata", "stream"}
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_MOST_MARKS = 4


def message(body: Any, model: Model, betas: str, version: str, *, is_counted: bool = False) -> Body:
    """A request for a message, or for its tokens.

    Raises:
        Refusal
    """
    if not isinstance(body, dict):
        raise Refusal("Input should be a valid dictionary")
    known = _COUNTED if is_counted else _KNOWN
    if "context-management" in betas:
        known = known | {"context_management"}
    if version == "2026-10-21":
        known = known - {"temperature", "top_p", "top_k"}
    for name in body:
        if name not in known:
            raise Refusal(f"{name}: Extra inputs are not permitted")
    for name in ("messages",) if is_counted else ("messages", "max_tokens"):
        if name not in body:
            raise Refusal(f"{name}: Field required")
    if not is_counted:
        _whole(body, "max_tokens", 1)
        if body["max_tokens"] > model.most_tokens:
            raise Refusal(
                f"max_tokens: {body['max_tokens']} > {model.most_tokens}, which is the maximum allowed number"
            )
    _settings(body)
    _tools(body, model)
    _thinking(body, model)
    _output(body, model)
    _sampling(body, model)
    marks = blocks.Marks()
    for n, tool in enumerate(body.get("tools") or ()):
        marks.see(tool, f"tools.{n}")
    _system(body, marks)
    blocks.history(body, model, marks)
    marks.see(body, "")
    if marks.count > _MOST_MARKS:
        raise Refusal(f"A maximum of 4 blocks with cache_control may be provided. Found {marks.count}.")
    return body


def _whole(body: Body, name: str, least: int) -> None:
    value = body[name]
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refusal(f"{name}: Input should be a valid integer")
    if value < least:
        raise Refusal(f"{name}: must be greater than or equal to {least}")


def _settings(body: Body) -> None:
    if not isinstance(body.get("stream", False), bool):
        raise Refusal("stream: Input should be a valid boolean")
    for n, stop in enumerate(body.get("stop_sequences") or ()):
        if not isinstance(stop, str) or not stop.strip():
            raise Refusal(f"stop_sequences.{n}: each stop sequence must contain non-whitespace")
    metadata = body.get("metadata") or {}
    if set(metadata) - {"user_id"}:
        raise Refusal(f"metadata.{next(iter(set(metadata) - {'user_id'}))}: Extra inputs are not permitted")
    if body.get("service_tier") not in (None, "auto", "standard_only"):
        raise Refusal("service_tier: Input should be 'auto' or 'standard_only'")


def _sampling(body: Body, model: Model) -> None:
    for name, highest in (("temperature", 1), ("top_p", 1)):
        value = body.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise Refusal(f"{name}: Input should be a valid number")
        if value is not None and not 0 <= value <= highest:
            raise Refusal(f"{name}: range: 0..{highest}")
    given = {name for name in ("temperature", "top_p", "top_k") if body.get(name) is not None}
    unusual = {name for name in given if name == "top_k" or body[name] != 1}
    if unusual and not model.takes_sampling:
        raise Refusal(f"`{sorted(unusual)[0]}` is not supported for this model.")
    if {"temperature", "top_p"} <= given and model.name != "claude-3-5-haiku-20241022":
        raise Refusal("`temperature` and `top_p` cannot both be specified for this model. Please use only one.")
    if unusual - {"top_p"} and _is_thinking(body):
        raise Refusal("`temperature` may only be set to 1 when thinking is enabled.")


def _is_thinking(body: Body) -> bool:
    return (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")


def _thinking(body: Body, model: Model) -> None:
    thinking = body.get("thinking")
    if thinking is None:
        return
    type_ = thinking.get("type")
    if type_ not in ("enabled", "adaptive", "disabled", "between_tools"):
        raise Refusal(f"thinking: Input tag '{type_}' found using 'type' does not match any of the expected tags")
    if type_ not in model.thinking:
        raise Refusal(f'"thinking.type.{type_}" is not supported for this model.')
    extra = set(thinking) - {"type", "display"} - ({"budget_tokens"} if type_ == "enabled" else set())
    if extra:
        raise Refusal(f"thinking.{type_}.{sorted(extra)[0]}: Extra inputs are not permitted")
    if type_ == "enabled":
        budget = thinking.get("budget_tokens")
        if not isinstance(budget, int) or budget < 1024:
            raise Refusal("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
        if budget >= body.get("max_tokens", budget + 1):
            raise Refusal("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if _is_thinking(body) and (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
        raise Refusal("Thinking may not be enabled when tool_choice forces tool use.")


def _output(body: Body, model: Model) -> None:
    config = body.get("output_config") or {}
    if set(config) - {"effort", "format"}:
        raise Refusal("output_config: Extra inputs are not permitted")
    if (effort := config.get("effort")) is not None and effort not in model.efforts:
        raise Refusal(f"output_config.effort: {effort} is not supported for this model")
    if (format_ := config.get("format")) is not None:
        if not model.has_schemas:
            raise Refusal("output_config.format: structured outputs are not supported for this model")
        if format_.get("type") != "json_schema" or not isinstance(format_.get("schema"), dict):
            raise Refusal("output_config.format.schema: Field required")
        _schema(format_["schema"], "output_config.format.schema")


_REFUSED = ("minimum", "maximum", "multipleOf", "minLength", "maxLength", "maxItems", "patternProperties", "oneOf")


def _schema(schema: Any, path: str) -> None:
    if not isinstance(schema, dict):
        return
    for name in _REFUSED:
        if name in schema:
            raise Refusal(f"{path}: For '{schema.get('type')}' type, property '{name}' is not supported")
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        raise Refusal(f"{path}: For 'object' type, 'additionalProperties' must be explicitly set to false")
    for name in ("properties", "$defs"):
        for key, inner in (schema.get(name) or {}).items():
            _schema(inner, f"{path}.{name}.{key}")
    _schema(schema.get("items"), f"{path}.items")
    for n, inner in enumerate(schema.get("anyOf") or ()):
        _schema(inner, f"{path}.anyOf.{n}")


def _tools(body: Body, model: Model) -> None:
    names: set[str] = set()
    for n, tool in enumerate(body.get("tools") or ()):
        if tool.get("type") not in (None, "custom"):
            names.add(str(tool.get("name")))
            continue
        path = f"tools.{n}.custom"
        if not _NAME.fullmatch(str(tool.get("name", ""))):
            raise Refusal(f"{path}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
        if tool["name"] in names:
            raise Refusal("tools: Tool names must be unique.")
        names.add(tool["name"])
        schema = tool.get("input_schema")
        if not isinstance(schema, dict):
            raise Refusal(f"{path}.input_schema: Field required")
        if schema.get("type") != "object":
            raise Refusal(f"{path}.input_schema.type: Input should be 'object'")
        known = {"type", "name", "description", "input_schema", "cache_control", "strict", "input_examples"}
        if extra := set(tool) - known - {"defer_loading", "eager_input_streaming", "allowed_callers"}:
            raise Refusal(f"{path}.{sorted(extra)[0]}: Extra inputs are not permitted")
        if tool.get("strict"):
            _schema(schema, f"{path}.input_schema")
    choice = body.get("tool_choice")
    if choice is None:
        return
    if choice.get("type") not in ("auto", "any", "tool", "none"):
        raise Refusal("tool_choice: Input tag does not match any of the expected tags")
    if not names:
        raise Refusal("tool_choice: may only be specified while providing tools")
    if choice["type"] == "tool" and choice.get("name") not in names:
        raise Refusal(f"Tool '{choice.get('name')}' not found in provided tools")
    if choice["type"] in ("any", "tool") and not model.can_be_forced:
        raise Refusal("tool_choice: forced tool use is not supported for this model")


def _system(body: Body, marks: blocks.Marks) -> None:
    system = body.get("system")
    if system is None or isinstance(system, str):
        return
    for n, block in enumerate(system):
        if not isinstance(block, Mapping) or block.get("type") != "text":
            raise Refusal(f"system.{n}: Input should be a text block")
        if not block.get("text"):
            raise Refusal(f"system.{n}: text content blocks must be non-empty")
        marks.see(dict(block), f"system.{n}")
