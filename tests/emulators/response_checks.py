"""What the stand-in's Responses API refuses: unknown fields, calls without outputs, seals that it has not made.

Nothing is stored: `previous_response_id` and item references are unknown here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

from tests.emulators import checks
from tests.emulators.checks import Body, Check, Refusal
from tests.emulators.kinds import Kind

Json = dict[str, Any]

ENCRYPTED = "reasoning.encrypted_content"
_LIMIT = 16
_FIELDS: dict[str, Check] = {
    "model": checks.text,
    "input": checks.anything,
    "instructions": checks.text,
    "stream": checks.boolean,
    "stream_options": checks.thing,
    "store": checks.boolean,
    "include": checks.array,
    "max_output_tokens": checks.whole(_LIMIT),
    "max_tool_calls": checks.whole(1),
    "temperature": checks.number(0, 2),
    "top_p": checks.number(0, 1),
    "top_logprobs": checks.whole(0, 20),
    "tools": checks.array,
    "tool_choice": checks.anything,
    "parallel_tool_calls": checks.boolean,
    "text": checks.thing,
    "reasoning": checks.thing,
    "metadata": checks.thing,
    "truncation": checks.one_of("auto", "disabled"),
    "service_tier": checks.one_of("auto", "default", "flex", "scale", "priority"),
    "safety_identifier": checks.text,
    "prompt_cache_key": checks.text,
    "prompt_cache_retention": checks.text,
    "user": checks.text,
    "background": checks.boolean,
    "context_management": checks.array,
    # Codex sends it.
    "client_metadata": checks.thing,
}
_INCLUDES = (ENCRYPTED, "message.output_text.logprobs", "web_search_call.action.sources")
_ITEMS = {
    "message": {"role", "content", "phase"},
    "function_call": {"call_id", "name", "arguments", "namespace"},
    "function_call_output": {"call_id", "output"},
    "custom_tool_call": {"call_id", "name", "input", "namespace"},
    "custom_tool_call_output": {"call_id", "output"},
    "reasoning": {"summary", "content", "encrypted_content"},
}
_PREFIXES = {
    "message": "msg",
    "function_call": "fc",
    "function_call_output": "fc",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctc",
    "reasoning": "rs",
}
_GIVEN = {"input_text": {"text"}, "input_image": {"image_url", "detail"}}
_GIVEN["input_file"] = {"file_data", "file_url", "filename", "detail"}
_SAID = {"output_text": {"text", "annotations", "logprobs"}, "refusal": {"refusal"}}
_TOOLS = ("function", "custom", "namespace", "web_search")


def check(kind: Kind, body: Any) -> Body:
    """
    Raises:
        Refusal: naming the parameter.
    """
    checked = checks.fields(body, _FIELDS, (), is_strict=False)
    for name in checked:
        if name == "previous_response_id" and checked[name] is not None:
            said = f"Previous response with id '{checked[name]}' not found."
            raise Refusal(said, param=name, code="previous_response_not_found")
        if name not in _FIELDS and name != "previous_response_id":
            raise Refusal(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
    given = checked.get("input")
    if not isinstance(given, str | list):
        raise Refusal("Missing required parameter: 'input'.", param="input", code="missing_required_parameter")
    for at, wanted in enumerate(checked.get("include") or []):
        checks.one_of(*_INCLUDES)(f"include[{at}]", wanted)
    if ENCRYPTED in (checked.get("include") or []) and str(checked["model"]).startswith("gpt-4"):
        raise Refusal("Encrypted content is not supported with this model.", param="include")
    for at, tool in enumerate(checked.get("tools") or []):
        _check_tool(f"tools[{at}]", tool)
    if isinstance(given, list):
        for at, item in enumerate(given):
            _check_item(kind, f"input[{at}]", item)
        _check_pairs(given)
    # Schemas are judged as in chat completions.
    checks.chat(as_chat(checked), is_strict=False)
    return checked


def _check_item(kind: Kind, at: str, item: Any) -> None:
    checks.thing(at, item)
    type_ = item.get("type") or ("message" if "role" in item else "item_reference")
    if type_ == "item_reference":
        said = f"Item with id '{item.get('id')}' not found. Items are not persisted when `store` is set to false."
        raise Refusal(said, status=404, param="input")
    checks.one_of(*_ITEMS)(f"{at}.type", type_)
    _known(at, item, _ITEMS[type_] | {"type", "id", "status"})
    prefix, id_ = _PREFIXES[type_], item.get("id")
    if id_ is not None and (not str(id_).startswith(prefix) or len(id_) > 64):
        said = f"Invalid '{at}.id': '{id_}'. Expected an ID that begins with '{prefix}'."
        raise Refusal(said, param=f"{at}.id", code="invalid_value")
    if type_ == "message":
        _check_message(at, item)
    elif type_ == "reasoning":
        checks.array(f"{at}.summary", item.get("summary"))
        _verify(kind, at, item)
    else:
        checks.text(f"{at}.call_id", item.get("call_id"))
        if type_.endswith("_output"):
            _check_parts(f"{at}.output", item.get("output"), _GIVEN)
        else:
            checks.text(f"{at}.name", item.get("name"))
            checks.text(f"{at}.arguments", item.get("arguments" if type_ == "function_call" else "input"))


def _check_message(at: str, item: Json) -> None:
    checks.one_of("user", "assistant", "system", "developer")(f"{at}.role", item.get("role"))
    _check_parts(f"{at}.content", item.get("content"), _SAID if item["role"] == "assistant" else _GIVEN)


def _check_parts(at: str, content: Any, known: dict[str, set[str]]) -> None:
    if isinstance(content, str):
        return
    checks.array(at, content)
    for n, part in enumerate(content):
        where = f"{at}[{n}]"
        checks.thing(where, part)
        checks.one_of(*known)(f"{where}.type", part.get("type"))
        _known(where, part, known[part["type"]] | {"type"})
        if part["type"] == "input_image":
            checks.text(f"{where}.image_url", part.get("image_url"))


def _known(at: str, given: Json, known: set[str]) -> None:
    for name in given:
        if name not in known:
            raise Refusal(f"Unknown parameter: '{at}.{name}'.", param=f"{at}.{name}", code="unknown_parameter")


def _check_tool(at: str, tool: Any) -> None:
    checks.thing(at, tool)
    checks.one_of(*_TOOLS)(f"{at}.type", tool.get("type"))
    if tool["type"] == "function":
        _known(at, tool, {"type", "name", "description", "parameters", "strict"})
    if tool["type"] != "web_search":
        checks.text(f"{at}.name", tool.get("name"))


def _check_pairs(items: list[Json]) -> None:
    """Every call has its output, and every output its call, which stands before it."""
    open_calls: set[str] = set()
    known: set[str] = set()
    for item in items:
        type_, call_id = item.get("type") or "", item.get("call_id")
        if type_.endswith("_call"):
            open_calls.add(str(call_id))
            known.add(str(call_id))
        elif type_.endswith("_output"):
            if call_id not in known:
                raise Refusal(f"No tool call found for function call output with call_id {call_id}.", param="input")
            open_calls.discard(str(call_id))
    if open_calls:
        raise Refusal(f"No tool output found for function call {min(open_calls)}.", param="input")


def sealed(kind: Kind, seq: int) -> str:
    thought = f"{kind.name} thought {seq}".encode()
    return "gAAAA" + base64.urlsafe_b64encode(_mark(kind, thought) + thought).decode()


def _mark(kind: Kind, thought: bytes) -> bytes:
    return hmac.new(kind.key.encode(), thought, hashlib.sha256).digest()


def _verify(kind: Kind, at: str, item: Json) -> None:
    sealed = item.get("encrypted_content")
    if not sealed:
        said = f"Item with id '{item.get('id')}' not found. Items are not persisted when `store` is set to false."
        raise Refusal(said, status=404, param="input")
    try:
        raw = base64.urlsafe_b64decode(str(sealed).removeprefix("gAAAA"))
    except ValueError:
        raw = b""
    if not hmac.compare_digest(raw[:32], _mark(kind, raw[32:])):
        said = f"The encrypted content for item {at} could not be verified."
        raise Refusal(said, param=f"{at}.encrypted_content", code="invalid_encrypted_content")


def as_chat(body: Json) -> Json:
    """The same request in chat completions, by which the stand-in makes up what it says."""
    messages: list[Json] = []
    if body.get("instructions"):
        messages.append({"role": "system", "content": body["instructions"]})
    given = body["input"]
    for item in [{"role": "user", "content": given}] if isinstance(given, str) else given:
        type_ = item.get("type") or "message"
        if type_ == "message":
            role = "system" if item["role"] == "developer" else item["role"]
            messages.append({"role": role, "content": _chat_parts(item["content"])})
        elif type_.endswith("_output"):
            messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": _chat_parts(item["output"])})
        elif type_.endswith("_call"):
            function = {"name": item["name"], "arguments": item.get("arguments") or item.get("input") or ""}
            call = {"id": item["call_id"], "type": "function", "function": function}
            if messages and messages[-1].get("tool_calls"):
                messages[-1]["tool_calls"].append(call)
            else:
                messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
    chat: Json = {"model": body["model"], "messages": messages or [{"role": "user", "content": ""}]}
    tools = [tool for tool in body.get("tools") or [] if tool.get("type") in ("function", "custom")]
    if tools:
        chat["tools"] = [{"type": "function", "function": _chat_function(tool)} for tool in tools]
        choice = body.get("tool_choice") or "auto"
        chat["tool_choice"] = choice
        if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
            allowed = {tool["name"] for tool in choice["tools"]}
            chat["tools"] = [tool for tool in chat["tools"] if tool["function"]["name"] in allowed]
            chat["tool_choice"] = choice["mode"]
        elif isinstance(choice, dict):
            chat["tool_choice"] = {"type": "function", "function": {"name": choice["name"]}}
        chat["parallel_tool_calls"] = body.get("parallel_tool_calls") is not False
    format_ = (body.get("text") or {}).get("format") or {}
    if format_.get("type") == "json_schema":
        inner = {name: value for name, value in format_.items() if name != "type"}
        chat["response_format"] = {"type": "json_schema", "json_schema": inner}
    elif format_.get("type") == "json_object":
        chat["response_format"] = {"type": "json_object"}
    if body.get("max_output_tokens"):
        chat["max_completion_tokens"] = body["max_output_tokens"]
    return chat


def _chat_function(tool: Json) -> Json:
    names = ("name", "description", "parameters", "strict")
    return {name: tool[name] for name in names if tool.get(name) is not None}


def _chat_parts(content: Any) -> Any:
    if isinstance(content, str):
        return content
    parts: list[Json] = []
    for part in content:
        if part["type"] == "input_image":
            parts.append({"type": "image_url", "image_url": {"url": part["image_url"]}})
        elif part["type"] == "input_file":
            parts.append({"type": "file", "file": {"filename": part.get("filename")}})
        else:
            parts.append({"type": "text", "text": part.get("text") or part.get("refusal") or ""})
    return parts
