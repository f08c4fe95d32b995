"""Messages, upstream face: a history that Anthropic accepts, out of any history.

What it insists on: user and assistant in turn, the user first; results right after their calls, all of a turn together
and before anything else that the user says; no result without a call and no call without a result; no empty turn.

https://platform.claude.com/docs/en/agents-and-tools/tool-use/handle-tool-calls
"""

from __future__ import annotations

from typing import Any, cast

from msgspec import Struct

from app.wire.anthropic.models import Claude
from app.wire.anthropic.upstream_parts import Block, Parts
from app.wire.neutral import Conversation, Message, Text
from app.wire.notes import Notes

_GO_ON = "Continue."
_NO_RESULT = "The tool gave no result."


class _Turn(Struct):
    role: str
    blocks: list[Block]
    at: str


def write(said: Conversation, model: Claude, parts: Parts, notes: Notes) -> list[dict[str, Any]]:
    """
    Raises:
        BadRequest: a part cannot be expressed.
    """
    turns = _turns(said.messages, model, parts, notes)
    _settle_calls(turns, notes)
    turns = [turn for turn in turns if turn.blocks]
    if not turns or turns[0].role != "user":
        if turns:
            notes.emulated(turns[0].at, "a conversation begins with the user: one word was put before it")
        turns.insert(0, _Turn("user", [_text(_GO_ON)], "messages"))
    last = turns[-1]
    if last.role == "assistant":
        if model.can_be_prefilled:
            _strip_end(last)
        else:
            notes.emulated(last.at, "the model does not go on with a turn of its own: the user asks it to")
            turns.append(_Turn("user", [_text(_GO_ON)], last.at))
    return [{"role": turn.role, "content": _content(turn)} for turn in turns]


def is_loop_without_thoughts(messages: list[dict[str, Any]]) -> bool:
    """Whether the last turn of the assistant called tools and has none of its thoughts: a model that thinks by a budget
    refuses to go on from there.

    https://platform.claude.com/docs/en/build-with-claude/extended-thinking#extended-thinking-with-tool-use
    """
    last = next((message for message in reversed(messages) if message["role"] == "assistant"), None)
    if last is None or isinstance(last["content"], str):
        return False
    types = [block["type"] for block in last["content"]]
    return "tool_use" in types and types[0] not in ("thinking", "redacted_thinking")


def _turns(messages: tuple[Message, ...], model: Claude, parts: Parts, notes: Notes) -> list[_Turn]:
    turns: list[_Turn] = []
    for n, message in enumerate(messages):
        match message.role:
            case "assistant":
                blocks = [block for part in message.parts if (block := parts.assistant(part)) is not None]
                _add(turns, "assistant", blocks, message.at)
            case "user":
                if message.name is not None:
                    notes.dropped(f"{message.at}.name", "the format has no names of speakers")
                blocks = [block for part in message.parts if (block := parts.user(part)) is not None]
                _add(turns, "user", blocks, message.at)
            case "system":
                following = messages[n + 1].role if n + 1 < len(messages) else "assistant"
                _add_instruction(turns, message, model, parts, notes, is_native=following == "assistant")
    return turns


def _add(turns: list[_Turn], role: str, blocks: list[Block], at: str) -> None:
    """Turns of one role in a row are one turn; results come first in it."""
    if not blocks:
        return
    if turns and turns[-1].role == role:
        turns[-1].blocks += blocks
    else:
        turns.append(_Turn(role, blocks, at))
    if role == "user":
        turns[-1].blocks.sort(key=lambda block: block["type"] != "tool_result")


def _add_instruction(
    turns: list[_Turn], message: Message, model: Claude, parts: Parts, notes: Notes, *, is_native: bool
) -> None:
    """An instruction in the middle: as such where the model knows it, between a user's turn and an assistant's."""
    texts = [part for part in message.parts if isinstance(part, Text) and part.text.strip()]
    if not texts:
        return
    if is_native and model.takes_system_later and turns and turns[-1].role in ("user", "system"):
        _add(turns, "system", [parts.text(text) for text in texts], message.at)
        return
    notes.emulated(message.at, "an instruction in the middle stands in the user's turn")
    blocks = [parts.text(text) for text in texts]
    blocks[0]["text"] = f"<system>\n{blocks[0]['text']}"
    blocks[-1]["text"] += "\n</system>"
    _add(turns, "user", blocks, message.at)


def _settle_calls(turns: list[_Turn], notes: Notes) -> None:
    """Each call gets its result in the next turn, and each result has its call in the one before."""
    open_: list[str] = []
    n = 0
    while n <= len(turns):
        turn = turns[n] if n < len(turns) else None
        if open_ and (turn is None or turn.role != "user"):
            turn = _Turn("user", [], turns[n - 1].at)
            turns.insert(n, turn)
        if turn is None:
            return
        if turn.role == "user":
            _match(turn, open_, notes)
        open_ = [block["id"] for block in turn.blocks if block["type"] == "tool_use"]
        n += 1


def _match(turn: _Turn, open_: list[str], notes: Notes) -> None:
    given = {block["tool_use_id"]: block for block in turn.blocks if block["type"] == "tool_result"}
    others: list[Block] = []
    seen: set[str] = set()
    for block in turn.blocks:
        if block["type"] != "tool_result":
            others.append(block)
        elif block["tool_use_id"] not in open_ or block["tool_use_id"] in seen:
            notes.emulated(turn.at, "a tool's result without its call stands as text")
            others = [*_as_text(block), *others]
        else:
            seen.add(block["tool_use_id"])
    results: list[Block] = []
    for id_ in open_:
        if id_ in given:
            results.append(next(b for b in turn.blocks if b.get("tool_use_id") == id_))
        else:
            notes.emulated(turn.at, "a tool's call without a result was given one that says so")
            results.append({"type": "tool_result", "tool_use_id": id_, "content": _NO_RESULT, "is_error": True})
    turn.blocks[:] = [*results, *others]


def _as_text(result: Block) -> list[Block]:
    content: Any = result.get("content")
    if isinstance(content, list):
        return cast(list[Block], content)
    return [_text(str(content))] if content else []


def _strip_end(turn: _Turn) -> None:
    """A prefilled answer must not end with white space."""
    last = turn.blocks[-1]
    if last["type"] == "text":
        last["text"] = last["text"].rstrip()


def _content(turn: _Turn) -> str | list[Block]:
    first = turn.blocks[0]
    if len(turn.blocks) == 1 and first["type"] == "text" and "cache_control" not in first:
        return str(first["text"])
    return turn.blocks


def _text(text: str) -> Block:
    return {"type": "text", "text": text}
