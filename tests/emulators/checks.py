"""Refuses what the real service refuses: each check raises `Refusal` with OpenAI's own status, code and `param`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Body = dict[str, Any]


class Refusal(Exception):
    """An answer other than 2xx, before any work."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        param: str | None = None,
        code: str | None = None,
        type_: str = "invalid_request_error",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message, self.status, self.param, self.code, self.type_ = message, status, param, code, type_
        self.headers = dict(headers or {})


_WORDS: dict[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    list: "an array",
    dict: "an object",
    type(None): "null",
}


def _bad_type(param: str, expected: str, value: Any) -> Refusal:
    got = _WORDS.get(type(value), "something else")
    return Refusal(
        f"Invalid type for '{param}': expected {expected}, but got {got} instead.", param=param, code="invalid_type"
    )


def _bad_value(param: str, value: Any, supported: tuple[str, ...]) -> Refusal:
    names = ", ".join(f"'{name}'" for name in supported)
    return Refusal(f"Invalid value: '{value}'. Supported values are: {names}.", param=param, code="invalid_value")


def _missing(param: str) -> Refusal:
    return Refusal(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")


Check = Callable[[str, Any], None]


def text(param: str, value: Any) -> None:
    if not isinstance(value, str):
        raise _bad_type(param, "a string", value)


def boolean(param: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise _bad_type(param, "a boolean", value)


def array(param: str, value: Any) -> None:
    if not isinstance(value, list):
        raise _bad_type(param, "an array", value)


def thing(param: str, value: Any) -> None:
    if not isinstance(value, dict):
        raise _bad_type(param, "an object", value)


def anything(param: str, value: Any) -> None:
    return


def whole(lowest: int, highest: int | None = None) -> Check:
    def check(param: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _bad_type(param, "an integer", value)
        _in_range("integer", param, value, lowest, highest)

    return check


def number(lowest: float, highest: float) -> Check:
    def check(param: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _bad_type(param, "a decimal", value)
        _in_range("decimal", param, value, lowest, highest)

    return check


def _in_range(word: str, param: str, value: float, lowest: float, highest: float | None) -> None:
    if value < lowest:
        raise Refusal(
            f"Invalid '{param}': {word} below minimum value. Expected a value >= {lowest}, but got {value} instead.",
            param=param,
            code=f"{word}_below_min_value",
        )
    if highest is not None and value > highest:
        raise Refusal(
            f"Invalid '{param}': {word} above maximum value. Expected a value <= {highest}, but got {value} instead.",
            param=param,
            code=f"{word}_above_max_value",
        )


def one_of(*supported: str) -> Check:
    def check(param: str, value: Any) -> None:
        text(param, value)
        if value not in supported:
            raise _bad_value(param, value, supported)

    return check


_SAMPLING: dict[str, Check] = {
    "model": text,
    "stream": boolean,
    "stream_options": thing,
    "max_tokens": whole(1),
    "temperature": number(0, 2),
    "top_p": number(0, 1),
    "n": whole(1, 128),
    "stop": anything,
    "seed": whole(-(2**63)),
    "frequency_penalty": number(-2, 2),
    "presence_penalty": number(-2, 2),
    "logit_bias": thing,
    "user": text,
}

CHAT: dict[str, Check] = _SAMPLING | {
    "messages": array,
    "max_completion_tokens": whole(1),
    "logprobs": boolean,
    "top_logprobs": whole(0, 20),
    "tools": array,
    "tool_choice": anything,
    "parallel_tool_calls": boolean,
    "response_format": thing,
    "reasoning_effort": one_of("none", "minimal", "low", "medium", "high", "xhigh", "max"),
    "modalities": array,
    "audio": thing,
    "prediction": thing,
    "metadata": thing,
    "store": boolean,
    "service_tier": one_of("auto", "default", "flex", "scale", "priority", "fast"),
    "verbosity": one_of("low", "medium", "high"),
    "web_search_options": thing,
    "prompt_cache_key": text,
    "prompt_cache_options": thing,
    "prompt_cache_retention": one_of("in_memory", "24h"),
    "safety_identifier": text,
    "functions": array,
    "function_call": anything,
    "moderation": thing,
}
COMPLETION = _SAMPLING | {
    "prompt": anything,
    "suffix": text,
    "echo": boolean,
    "best_of": whole(1, 20),
    "logprobs": whole(0, 5),
}
EMBEDDING: dict[str, Check] = {
    "model": text,
    "input": anything,
    "encoding_format": one_of("float", "base64"),
    "dimensions": whole(1, 3072),
    "user": text,
}
IMAGE: dict[str, Check] = {
    "model": text,
    "prompt": text,
    "n": whole(1, 10),
    "size": text,
    "quality": text,
    "style": one_of("vivid", "natural"),
    "response_format": one_of("url", "b64_json"),
    "background": one_of("transparent", "opaque", "auto"),
    "output_format": one_of("png", "webp", "jpeg", "gif", "svg"),
    "output_compression": whole(0, 100),
    "moderation": one_of("low", "auto"),
    "user": text,
}
SPEECH: dict[str, Check] = {
    "model": text,
    "input": text,
    "voice": text,
    "instructions": text,
    "response_format": one_of("mp3", "opus", "aac", "flac", "wav", "pcm"),
    "speed": number(0.25, 4),
    "stream_format": one_of("sse", "audio"),
}
MODERATION: dict[str, Check] = {"model": text, "input": anything}

_ROLES = ("system", "assistant", "user", "function", "tool", "developer")
_PARTS = ("text", "image_url", "input_audio", "refusal", "audio", "file")


def fields(body: Any, known: dict[str, Check], required: tuple[str, ...], *, is_strict: bool) -> Body:
    """Checks names and types of the top level.

    Raises:
        Refusal: naming the parameter.
    """
    if not isinstance(body, dict):
        raise Refusal("Invalid body: expected an object.", code="invalid_type")
    if "model" not in body:
        raise Refusal("you must provide a model parameter")
    for name in required:
        if body.get(name) is None:
            raise _missing(name)
    for name, value in body.items():
        if name not in known:
            if is_strict:
                raise Refusal(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
        elif value is not None:
            known[name](name, value)
    return body


def chat(body: Any, *, is_strict: bool) -> Body:
    """A chat request as OpenAI takes it."""
    checked = fields(body, CHAT, ("messages",), is_strict=is_strict)
    if not checked["messages"]:
        raise Refusal(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            param="messages",
            code="empty_array",
        )
    for at, message in enumerate(checked["messages"]):
        _message(f"messages[{at}]", message)
    _tool_turns(checked["messages"])
    for at, tool in enumerate(checked.get("tools") or []):
        _tool(f"tools[{at}]", tool)
    if checked.get("tool_choice") is not None and not checked.get("tools"):
        raise Refusal("'tool_choice' is only allowed when 'tools' are specified.", param="tool_choice")
    if "parallel_tool_calls" in checked and not checked.get("tools"):
        raise Refusal("'parallel_tool_calls' is only allowed when 'tools' are specified.", param="parallel_tool_calls")
    if checked.get("top_logprobs") is not None and not checked.get("logprobs"):
        raise Refusal("'top_logprobs' is only allowed when 'logprobs' is enabled.", param="top_logprobs")
    if str(checked["model"]).startswith("o3") and checked.get("max_tokens") is not None:
        raise Refusal(
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            param="max_tokens",
            code="unsupported_parameter",
        )
    _stream_options(checked)
    if checked.get("response_format") is not None:
        _response_format(checked)
    return checked


def completion(body: Any, *, is_strict: bool) -> Body:
    checked = fields(body, COMPLETION, ("prompt",), is_strict=is_strict)
    _stream_options(checked)
    return checked


def _stream_options(body: Body) -> None:
    options = body.get("stream_options")
    if options is None:
        return
    if not body.get("stream"):
        raise Refusal(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )
    for name, value in options.items():
        if name not in ("include_usage", "include_obfuscation"):
            raise Refusal(
                f"Unknown parameter: 'stream_options.{name}'.",
                param=f"stream_options.{name}",
                code="unknown_parameter",
            )
        boolean(f"stream_options.{name}", value)


def _tool_turns(messages: list[Any]) -> None:
    """Each call is answered at once, by a message of its own, and nothing else answers."""
    open_ids: set[str] = set()
    for at, message in enumerate(messages):
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_ids:
                raise Refusal(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceding message with "
                    "'tool_calls'.",
                    param=f"messages[{at}].role",
                )
            open_ids.discard(message["tool_call_id"])
            continue
        _all_answered(at, open_ids)
        for n, call in enumerate(message.get("tool_calls") or []):
            text(f"messages[{at}].tool_calls[{n}].id", call.get("id"))
            open_ids.add(call["id"])
    _all_answered(len(messages), open_ids)


def _all_answered(at: int, open_ids: set[str]) -> None:
    if open_ids:
        raise Refusal(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. These did not have response messages: {', '.join(sorted(open_ids))}",
            param=f"messages[{at}].role",
        )


def _message(where: str, message: Any) -> None:
    thing(where, message)
    if "role" not in message:
        raise _missing(f"{where}.role")
    one_of(*_ROLES)(f"{where}.role", message["role"])
    content = message.get("content")
    if content is None and not (message["role"] == "assistant" and (message.get("tool_calls") or "refusal" in message)):
        raise Refusal("Invalid value for 'content': expected a string, got null.", param=f"{where}.content")
    if message["role"] == "tool" and not isinstance(message.get("tool_call_id"), str):
        raise _missing(f"{where}.tool_call_id")
    for at, call in enumerate(message.get("tool_calls") or []):
        if not isinstance((call.get("function") or {}).get("arguments"), str):
            raise _missing(f"{where}.tool_calls[{at}].function.arguments")
    if isinstance(content, list):
        for at, part in enumerate(content):
            _part(f"{where}.content[{at}]", part)
    elif content is not None:
        text(f"{where}.content", content)


def _part(where: str, part: Any) -> None:
    thing(where, part)
    if "type" not in part:
        raise _missing(f"{where}.type")
    one_of(*_PARTS)(f"{where}.type", part["type"])
    if part["type"] == "text":
        text(f"{where}.text", part.get("text"))
    elif part["type"] == "image_url":
        thing(f"{where}.image_url", part.get("image_url"))
        url = part["image_url"].get("url")
        text(f"{where}.image_url.url", url)
        if not url.startswith(("data:image/", "https://", "http://")):
            raise Refusal("Invalid image URL.", param=f"{where}.image_url.url", code="invalid_image_url")
    elif part["type"] == "input_audio":
        thing(f"{where}.input_audio", part.get("input_audio"))
        text(f"{where}.input_audio.data", part["input_audio"].get("data"))
        one_of("wav", "mp3")(f"{where}.input_audio.format", part["input_audio"].get("format"))


def _tool(where: str, tool: Any) -> None:
    thing(where, tool)
    one_of("function", "custom")(f"{where}.type", tool.get("type"))
    if tool["type"] == "function":
        thing(f"{where}.function", tool.get("function"))
        text(f"{where}.function.name", tool["function"].get("name"))
        if tool["function"].get("strict"):
            _strict_schema(f"{where}.function.parameters", tool["function"]["name"], tool["function"]["parameters"])


def _response_format(body: Body) -> None:
    wanted = body["response_format"]
    one_of("text", "json_object", "json_schema")("response_format.type", wanted.get("type"))
    if wanted["type"] == "json_object" and "json" not in str(body["messages"]).lower():
        raise Refusal(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
            param="messages",
        )
    if wanted["type"] == "json_schema":
        thing("response_format.json_schema", wanted.get("json_schema"))
        text("response_format.json_schema.name", wanted["json_schema"].get("name"))
        if wanted["json_schema"].get("strict"):
            _strict_schema("response_format", wanted["json_schema"]["name"], wanted["json_schema"].get("schema") or {})


def _strict_schema(param: str, name: str, schema: Any) -> None:
    """Strict mode wants closed objects whose properties are all required, at every depth."""
    if isinstance(schema, list):
        for inner in schema:
            _strict_schema(param, name, inner)
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object":
        properties = set(schema.get("properties") or {})
        if schema.get("additionalProperties") is not False:
            problem = "'additionalProperties' is required to be supplied and to be false."
        elif properties != set(schema.get("required") or []):
            problem = "'required' is required to be supplied and to be an array including every key in properties."
        else:
            problem = None
        if problem:
            raise Refusal(f"Invalid schema for {param} '{name}': In context=(), {problem}", param=param)
    for inner in schema.values():
        _strict_schema(param, name, inner)
