"""What single providers refuse in a chat where OpenAI would not, or say in other words.

Sources: api-docs.deepseek.com (chat completions, thinking mode); ollama's openai.go; docs.x.ai (reasoning); Ark's chat
reference (volcengine.com/docs/82379/1494384); developers.openai.com (structured outputs, reasoning).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.emulators.checks import Body, Refusal


def of_kind(kind: str, body: Body) -> None:
    """What one provider refuses and OpenAI does not, or says in other words.

    Raises:
        Refusal
    """
    rule = _OF_KIND.get(kind)
    if rule is not None:
        rule(body)


def _openai(body: Body) -> None:
    _needs_the_word_json(body)
    for at, message in enumerate(body["messages"]):
        for n, call in enumerate(message.get("tool_calls") or []):
            if len(call["id"]) > 40:
                where = f"messages[{at}].tool_calls[{n}].id"
                said = f"Invalid '{where}': string too long. Expected a string with maximum length 40."
                raise Refusal(said, param=where, code="string_above_max_length")
    model = str(body["model"])
    if body.get("reasoning_effort") is not None and model.startswith(("gpt-3", "gpt-4")):
        said = "Unrecognized request argument supplied: reasoning_effort"
        raise Refusal(said, param="reasoning_effort", code="unknown_parameter")
    if model.startswith("o3") and body.get("temperature") not in (None, 1):
        said = "Unsupported parameter: 'temperature' is not supported with this model."
        raise Refusal(said, param="temperature", code="unsupported_parameter")


def _deepseek(body: Body) -> None:
    if (body.get("response_format") or {}).get("type") == "json_schema":
        raise Refusal("This response_format type is unavailable now")
    _needs_the_word_json(body)
    for at, message in enumerate(body["messages"]):
        for n, part in enumerate(_list(message.get("content"))):
            if part["type"] != "text":
                raise Refusal(f"messages[{at}].content[{n}]: unknown variant `{part['type']}`, expected `text`")
        # Thinking is on unless it is switched off; the older names say by themselves whether they think.
        thinks = (body.get("thinking") or {}).get("type") != "disabled" and "chat" not in str(body["model"])
        if thinks and message.get("tool_calls") and message.get("reasoning_content") is None:
            raise Refusal("The `reasoning_content` in the thinking mode must be passed back to the API.")
    if body.get("reasoning_effort") == "none":
        raise Refusal("Invalid value for reasoning_effort")


def _ollama(body: Body) -> None:
    for message in body["messages"]:
        for part in _list(message.get("content")):
            if part["type"] not in ("text", "image_url"):
                raise Refusal("invalid message format")
            if part["type"] == "image_url" and not part["image_url"]["url"].startswith("data:image/"):
                raise Refusal("invalid image input")


def _xai(body: Body) -> None:
    if "reasoner" in str(body["model"]):
        for name in ("presence_penalty", "frequency_penalty", "stop"):
            if body.get(name) is not None:
                raise Refusal(f"Model {body['model']} does not support parameter {name}.")
    if body.get("reasoning_effort") is not None and str(body["model"]).startswith("grok-4-"):
        raise Refusal(f"Model {body['model']} does not support parameter reasoningEffort.")


def _doubao(body: Body) -> None:
    if body.get("reasoning_effort") not in (None, "minimal", "low", "medium", "high"):
        raise Refusal("The parameter `reasoning_effort` specified in the request is not valid")
    if (body.get("thinking") or {}).get("type") not in (None, "enabled", "disabled", "auto"):
        raise Refusal("The parameter `thinking.type` specified in the request is not valid")


def _list(content: Any) -> list[Any]:
    return content if isinstance(content, list) else []


def _needs_the_word_json(body: Body) -> None:
    if (body.get("response_format") or {}).get("type") == "json_object" and "json" not in str(body["messages"]).lower():
        said = "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
        raise Refusal(said, param="messages")


_OF_KIND: dict[str, Callable[[Body], None]] = {
    "openai": _openai,
    "deepseek": _deepseek,
    "ollama": _ollama,
    "xai": _xai,
    "doubao": _doubao,
}
