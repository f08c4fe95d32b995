"""The history of a request as the Messages API insists on it: turns, blocks, sources, cache marks, signatures."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Any

from tests.emulators.anthropic.models import Model
from tests.emulators.checks import Refusal

Body = dict[str, Any]

_ID = re.compile(r"[a-zA-Z0-9_-]+")
_PICTURES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_OF_USER = ("text", "image", "document", "search_result", "tool_result")
_OF_ASSISTANT = ("text", "thinking", "redacted_thinking", "tool_use", "server_tool_use", "web_search_tool_result")
_FIELDS: dict[str, set[str]] = {
    "text": {"text", "citations"},
    "image": {"source"},
    "document": {"source", "title", "context", "citations"},
    "search_result": {"source", "title", "content", "citations"},
    "tool_result": {"tool_use_id", "content", "is_error"},
    "tool_use": {"id", "name", "input", "caller"},
    "thinking": {"thinking", "signature"},
    "redacted_thinking": {"data"},
}


def signature(thought: str) -> str:
    return f"Eu{hashlib.sha256(f'emulated {thought}'.encode()).hexdigest()}=="


def redacted(thought: str) -> str:
    return f"Em{hashlib.sha256(f'hidden {thought}'.encode()).hexdigest()}=="


class Marks:
    """Counts cache marks, and checks each."""

    def __init__(self) -> None:
        self.count = 0

    def see(self, owner: Body, path: str) -> bool:
        mark = owner.get("cache_control")
        if mark is None:
            return False
        if not isinstance(mark, dict) or mark.get("type") != "ephemeral" or set(mark) - {"type", "ttl"}:
            raise Refusal(f"{path}.cache_control: Input should be a cache control of type 'ephemeral'")
        if mark.get("ttl", "5m") not in ("5m", "1h"):
            raise Refusal(f"{path}.cache_control.ephemeral.ttl: Input should be '5m' or '1h'")
        if owner.get("type") in ("thinking", "redacted_thinking") or owner.get("text") == "":
            raise Refusal(f"{path}: cache_control cannot be set for this block")
        self.count += 1
        return True


def history(body: Body, model: Model, marks: Marks) -> None:
    """
    Raises:
        Refusal: the turn, block and rule that it breaks.
    """
    messages = body["messages"]
    if not isinstance(messages, list) or not messages:
        raise Refusal("messages: at least one message is required")
    if messages[0].get("role") != "user":
        raise Refusal('messages: first message must use the "user" role')
    open_: list[str] = []
    before = ""
    for n, message in enumerate(messages):
        if set(message) - {"role", "content"}:
            raise Refusal(
                f"messages.{n}.{sorted(set(message) - {'role', 'content'})[0]}: Extra inputs are not permitted"
            )
        role = message.get("role")
        if role not in ("user", "assistant", "system"):
            raise Refusal(f"messages.{n}.role: Input should be 'user' or 'assistant'")
        if role == "system":
            following = messages[n + 1].get("role") if n + 1 < len(messages) else "assistant"
            if not model.takes_system_later or before not in ("user", "system") or following == "user":
                raise Refusal(f"messages.{n}: role 'system' is not supported here")
        blocks = _blocks(message, n, is_last=n == len(messages) - 1)
        allowed = {"user": _OF_USER, "assistant": _OF_ASSISTANT, "system": ("text",)}[role]
        for at, block in enumerate(blocks):
            path = f"messages.{n}.content.{at}"
            if block.get("type") not in allowed:
                raise Refusal(f"{path}: `{block.get('type')}` blocks are not permitted in `{role}` messages")
            _block(block, path)
            marks.see(block, path)
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        if role == "user" and before != "user":
            _match(open_, results, blocks, n)
            open_ = []
        elif results:
            raise Refusal(f"messages.{n}: unexpected `tool_use_id` found in `tool_result` blocks: {results[0]}")
        if role == "assistant":
            if open_:
                raise Refusal(f"messages.{n}: `tool_use` ids were found without `tool_result` blocks: {open_}")
            open_ = [block["id"] for block in blocks if block["type"] == "tool_use"]
        before = role
    if open_:
        raise Refusal(f"messages.{len(messages)}: `tool_use` ids were found without `tool_result` blocks: {open_}")
    _last(messages, model, body)


def _last(messages: list[Body], model: Model, body: Body) -> None:
    last = messages[-1]
    if last["role"] == "assistant":
        if not model.can_be_prefilled:
            raise Refusal("This model does not support assistant message prefill.")
        text = last["content"] if isinstance(last["content"], str) else last["content"][-1].get("text", "x")
        if text != text.rstrip():
            raise Refusal("messages: final assistant content cannot end with trailing whitespace")
    said = next((message for message in reversed(messages) if message["role"] == "assistant"), None)
    if (body.get("thinking") or {}).get("type") == "enabled" and said is not None and isinstance(said["content"], list):
        types = [block["type"] for block in said["content"]]
        if "tool_use" in types and types[0] not in ("thinking", "redacted_thinking"):
            raise Refusal("messages: Expected `thinking` or `redacted_thinking`, but found `tool_use`.")


def _blocks(message: Body, n: int, *, is_last: bool) -> list[Body]:
    content = message.get("content")
    if content is None:
        raise Refusal(f"messages.{n}.content: Field required")
    if isinstance(content, str):
        content = [{"type": "text", "text": content}] if content else []
    if not content and not (is_last and message["role"] == "assistant"):
        raise Refusal(f"messages.{n}: all messages must have non-empty content")
    return content


def _match(open_: list[str], results: list[str], blocks: list[Body], n: int) -> None:
    if set(open_) - set(results):
        raise Refusal(
            f"messages.{n - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: "
            f"{', '.join(sorted(set(open_) - set(results)))}."
        )
    for id_ in results:
        if id_ not in open_:
            raise Refusal(f"messages.{n}: unexpected `tool_use_id` found in `tool_result` blocks: {id_}.")
    if len(set(results)) != len(results):
        raise Refusal(f"messages.{n}: each tool_use must have a single result")
    if any(block["type"] != "tool_result" for block in blocks[: len(results)]):
        raise Refusal(f"messages.{n}: `tool_result` blocks must come first")


def _block(block: Body, path: str) -> None:
    type_ = str(block["type"])
    known = _FIELDS.get(type_)
    if known is not None and (extra := set(block) - known - {"type", "cache_control"}):
        raise Refusal(f"{path}.{type_}.{sorted(extra)[0]}: Extra inputs are not permitted")
    match type_:
        case "text":
            if not isinstance(block.get("text"), str) or not block["text"].strip():
                raise Refusal(f"{path}: text content blocks must contain non-whitespace text")
        case "image":
            _picture(block.get("source"), f"{path}.image.source")
        case "document":
            _document(block.get("source"), f"{path}.document.source")
        case "tool_use":
            if not _ID.fullmatch(str(block.get("id", ""))):
                raise Refusal(f"{path}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
            if not isinstance(block.get("input"), dict):
                raise Refusal(f"{path}.tool_use.input: Input should be a valid dictionary")
        case "tool_result":
            if not _ID.fullmatch(str(block.get("tool_use_id", ""))):
                raise Refusal(f"{path}.tool_result.tool_use_id: String should match pattern '^[a-zA-Z0-9_-]+$'")
            content = block.get("content") or []
            for at, inner in enumerate(content if isinstance(content, list) else ()):
                if inner.get("type") not in ("text", "image", "document", "search_result"):
                    raise Refusal(f"{path}.tool_result.content.{at}: Input tag is not expected")
                _block(inner, f"{path}.tool_result.content.{at}")
        case "thinking":
            if block.get("signature") not in (signature(block.get("thinking", "")), signature(_HIDDEN)):
                raise Refusal(f"{path}: Invalid `signature` in `thinking` block")
        case "redacted_thinking":
            if block.get("data") != redacted(_HIDDEN):
                raise Refusal(f"{path}: Invalid `data` in `redacted_thinking` block")
        case _:
            pass


_HIDDEN = "The user asks politely."
"""What the emulator thinks; a thought that is not shown is signed as well."""


def _picture(source: Any, path: str) -> None:
    match source:
        case {"type": "base64", "media_type": str(media_type), "data": str(data)}:
            if media_type not in _PICTURES:
                raise Refusal(f"{path}.base64.media_type: Input should be one of {_PICTURES}")
            _base64(data, path)
        case {"type": "url", "url": str(url)}:
            if not url.startswith("https://"):
                raise Refusal(f"{path}: Only HTTPS URLs are supported.")
        case {"type": "file", "file_id": str()}:
            pass
        case _:
            raise Refusal(f"{path}: Input tag does not match any of the expected tags")


def _document(source: Any, path: str) -> None:
    match source:
        case {"type": "base64", "media_type": "application/pdf", "data": str(data)}:
            if not base64.b64decode(_base64(data, path)).startswith(b"%PDF"):
                raise Refusal(f"{path}: The PDF specified was not valid.")
        case {"type": "text", "media_type": "text/plain", "data": str()}:
            pass
        case {"type": "url", "url": str(url)}:
            if not url.startswith("https://"):
                raise Refusal(f"{path}: Only HTTPS URLs are supported.")
        case {"type": "content", "content": _} | {"type": "file", "file_id": str()}:
            pass
        case _:
            raise Refusal(f"{path}: Input tag does not match any of the expected tags")


def _base64(data: str, path: str) -> str:
    try:
        base64.b64decode(data, validate=True)
    except binascii.Error:
        raise Refusal(f"{path}.base64.data: must be valid base64") from None
    return data
