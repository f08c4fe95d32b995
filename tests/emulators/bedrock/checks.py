"""What the real service refuses although its model of documents allows it.

https://docs.aws.amazon.com/bedrock/latest/userguide/tool-use.html, …/conversation-inference-call.html,
…/prompt-caching.html, …/claude-messages-extended-thinking.html
"""

from __future__ import annotations

import hashlib
import re
from itertools import pairwise
from typing import Any

from tests.emulators.bedrock import shapes

Json = dict[str, Any]

_DOCUMENT_NAME = re.compile(r"[A-Za-z0-9\-()\[\]]+(?: [A-Za-z0-9\-()\[\]]+)*")
_MOST_CACHE_POINTS = 4
_LEAST_BUDGET = 1024


class Refused(Exception):
    """An error answer: its status, type and sentence."""

    def __init__(self, status: int, type_: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.type_, self.message, self.headers = status, type_, message, headers or {}


def invalid(message: str) -> Refused:
    return Refused(400, "ValidationException", message)


def signature_of(text: str) -> str:
    """With which the emulator signs a thought, so that a changed one is noticed when it comes back."""
    return f"sig-{hashlib.sha256(text.encode()).hexdigest()}"


def converse(body: Any, operation: str, model: str) -> Json:
    """
    Raises:
        Refused: the body is not what this model would be given.
    """
    if found := shapes.problems_of_input(operation, body):
        raise invalid(f"{len(found)} validation errors: {'; '.join(found[:5])}")
    messages: list[Json] = body.get("messages") or []
    if not messages or messages[0]["role"] != "user":
        raise invalid("A conversation must start with a user message. Try again with a conversation that does.")
    for before, message in pairwise(messages):
        if before["role"] == message["role"]:
            raise invalid("A conversation must alternate between user and assistant roles.")
    for n, message in enumerate(messages):
        _content(n, message)
    _tools(body, messages)
    _cache_points(body, model)
    if "claude" in model:
        _claude(body, messages, model)
    elif _uses(messages, "reasoningContent") and "application-inference-profile" not in model:
        raise invalid("This model doesn't support the reasoningContent field. Remove it and try again.")
    return body


def _content(n: int, message: Json) -> None:
    blocks = message["content"]
    if not blocks:
        raise invalid(f"The content field in the Message object at messages.{n} is empty.")
    names = [block["document"]["name"] for block in blocks if "document" in block]
    for block in blocks:
        if "text" in block and not block["text"].strip():
            raise invalid(f"The text field in the ContentBlock object at messages.{n}.content is blank.")
        if message["role"] == "assistant" and {"image", "document", "video", "audio"} & block.keys():
            raise invalid(f"messages.{n}: images and documents are for the role user only.")
        if "toolResult" in block and (message["role"] != "user" or not block["toolResult"]["content"]):
            raise invalid(f"messages.{n}: a toolResult needs content, and the role user.")
        if "toolUse" in block and (message["role"] != "assistant" or not isinstance(block["toolUse"]["input"], dict)):
            raise invalid(f"messages.{n}: a toolUse needs an object as its input, and the role assistant.")
    if names and not any("text" in block for block in blocks):
        raise invalid("A document needs a text block in the same message.")
    if len(set(names)) != len(names):
        raise invalid("Messages can not contain duplicate document names.")
    for name in names:
        if _DOCUMENT_NAME.fullmatch(name) is None:
            raise invalid(f"The document file name {name!r} can only contain alphanumeric characters, …")


def _tools(body: Json, messages: list[Json]) -> None:
    open_ids: list[str] = []
    for n, message in enumerate(messages):
        results = [block["toolResult"]["toolUseId"] for block in message["content"] if "toolResult" in block]
        if sorted(results) != sorted(open_ids):
            raise invalid(
                f"messages.{n}: toolResult blocks {results} for the toolUse blocks {open_ids} of the turn before."
            )
        if (
            results
            and any("toolResult" not in block for block in message["content"][: len(results)])
            and not any("cachePoint" in block for block in message["content"][: len(results)])
        ):
            raise invalid(f"messages.{n}: toolResult blocks come first.")
        open_ids = [block["toolUse"]["toolUseId"] for block in message["content"] if "toolUse" in block]
        if len(set(open_ids)) != len(open_ids):
            raise invalid(f"messages.{n}: toolUse ids are not unique.")
    if open_ids:
        raise invalid("Expected toolResult blocks after the last toolUse blocks.")
    config = body.get("toolConfig")
    if config is None and (_uses(messages, "toolUse") or _uses(messages, "toolResult")):
        raise invalid("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
    specs = [tool["toolSpec"] for tool in (config or {}).get("tools", []) if "toolSpec" in tool]
    names = [spec["name"] for spec in specs]
    if len(set(names)) != len(names):
        raise invalid("The tool names are not unique.")
    for spec in specs:
        if spec["inputSchema"]["json"].get("type") != "object":
            raise invalid("The value at toolConfig.tools.inputSchema.json.type must be one of the following: object.")
    named = ((config or {}).get("toolChoice") or {}).get("tool")
    if named is not None and named["name"] not in names:
        raise invalid("The tool of toolChoice is not among the tools.")


def _cache_points(body: Json, model: str) -> None:
    tools, system = (body.get("toolConfig") or {}).get("tools", []), body.get("system") or []
    places = {"tools": tools, "system": system, "messages": [b for m in body["messages"] for b in m["content"]]}
    points = {name: [b for b in blocks if "cachePoint" in b] for name, blocks in places.items()}
    if sum(map(len, points.values())) > _MOST_CACHE_POINTS:
        raise invalid("You have exceeded the number of cache points.")
    is_nova = "nova" in model
    if any(points.values()) and not is_nova and "claude" not in model:
        raise invalid("This model doesn't support caching.")
    if is_nova and points["tools"]:
        raise invalid("This model doesn't support cache points in tools.")


def _claude(body: Json, messages: list[Json], model: str) -> None:
    extra, inference = body.get("additionalModelRequestFields") or {}, body.get("inferenceConfig") or {}
    thinking = extra.get("thinking") or {}
    is_on = thinking.get("type") in ("enabled", "adaptive")
    if "temperature" in inference and "topP" in inference and "claude-3" not in model:
        raise invalid("`temperature` and `top_p` cannot both be specified for this model. Please use only one.")
    if thinking.get("type") == "enabled":
        budget = thinking.get("budget_tokens", 0)
        if budget < _LEAST_BUDGET or budget >= inference.get("maxTokens", 1 << 30):
            raise invalid("`max_tokens` must be greater than `thinking.budget_tokens`, which is 1024 at least.")
    if is_on and (inference.get("temperature", 1) != 1 or "top_k" in extra):
        raise invalid("`temperature` may only be set to 1 when thinking is enabled.")
    choice = (body.get("toolConfig") or {}).get("toolChoice") or {}
    if is_on and {"any", "tool"} & choice.keys():
        raise invalid("Thinking may not be enabled when tool_choice forces tool use.")
    for message in messages:
        for block in message["content"]:
            _thought(block)
    last = messages[-2] if len(messages) > 1 else None
    goes_on = last is not None and _uses([last], "toolUse")
    if thinking.get("type") == "enabled" and goes_on and last and "reasoningContent" not in last["content"][0]:
        raise invalid("Expected `thinking` or `redacted_thinking`, but found `tool_use`.")


def _thought(block: Json) -> None:
    text = (block.get("reasoningContent") or {}).get("reasoningText")
    if text is not None and text.get("signature") != signature_of(text["text"]):
        raise invalid("Invalid `signature` in `thinking` block")


def _uses(messages: list[Json], member: str) -> bool:
    return any(member in block for message in messages for block in message["content"])
