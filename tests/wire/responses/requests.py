"""Requests and targets for the tests of the Responses API."""

from __future__ import annotations

from typing import Any

import msgspec

from app.wire.faces import Target
from app.wire.neutral import Conversation
from app.wire.neutral_answer import Reply
from app.wire.notes import Notes
from app.wire.request import Incoming, Request
from app.wire.responses import client, upstream
from app.wire.responses.endpoints import RESPONSES

REPLY = Reply(id="0" * 32, model="m", created=1_700_000_000, wants_usage=True)


def request(recalled: int = 0, **body: Any) -> Request:
    """A request as the door reads it."""
    content = msgspec.json.encode({"model": "m", "input": "hi", **body})
    made = client.read(
        RESPONSES, Incoming(path="/v1/responses", headers={b"content-type": b"application/json"}, body=content)
    )
    made.recalled = recalled
    return made


def read(**body: Any) -> Conversation:
    return client.read_conversation(request(**body))


def target(origin: str = "openai", model: str = "gpt-6-luna", **more: Any) -> Target:
    return Target(model=model, origin=origin, is_streamed=False, call_id="c" * 32, **more)


def write(said: Conversation, notes: Notes | None = None, **more: Any) -> dict[str, Any]:
    """What a provider is sent."""
    outgoing = upstream.write_request(said, target(**more), notes if notes is not None else Notes())
    return msgspec.json.decode(outgoing.content)


def noted(notes: Notes) -> list[tuple[str, str]]:
    return [(note.path, note.what) for note in notes.all]
