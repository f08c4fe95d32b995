"""Short ways to read and write Anthropic's format in tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from app.wire.anthropic import client, upstream
from app.wire.anthropic.endpoints import MESSAGES
from app.wire.endpoint import Endpoint
from app.wire.faces import Target
from app.wire.neutral import Conversation
from app.wire.neutral_answer import Event, Reply
from app.wire.notes import Notes
from app.wire.request import Incoming, Request

Json = dict[str, Any]

TRANSCRIPTS = Path(__file__).resolve().parents[2] / "transcripts" / "anthropic"
HELLO: list[Json] = [{"role": "user", "content": "hello"}]
REPLY = Reply(id="0" * 32, model="house/model", created=1_795_000_000, wants_usage=True)


def target(model: str = "claude-opus-4-6", **changes: Any) -> Target:
    given: Json = {"model": model, "origin": "anthropic", "is_streamed": False, "call_id": "c" * 32}
    return Target(**(given | changes))


def request_of(document: Json, endpoint: Endpoint = MESSAGES, **headers: str) -> Request:
    given = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    body = json.dumps(document).encode()
    incoming = Incoming(path="/messages", headers={b"content-type": b"application/json", **given}, body=body)
    return client.read(endpoint, incoming)


def read(messages: list[Json] | None = None, **fields: Any) -> Conversation:
    """What a client's JSON says."""
    said = HELLO if messages is None else messages
    return client.read_conversation(request_of({"model": "m", "max_tokens": 50, "messages": said, **fields}))


def write(said: Conversation, model: str = "claude-opus-4-6", notes: Notes | None = None) -> Json:
    """What Anthropic is sent."""
    outgoing = upstream.write_request(said, target(model), Notes() if notes is None else notes)
    return json.loads(outgoing.content)


def noted(notes: Notes) -> set[tuple[str, str]]:
    return {(note.what, note.path) for note in notes.all}


def transcript(name: str) -> bytes:
    return (TRANSCRIPTS / name).read_bytes()


def streamed(content: bytes) -> tuple[list[Event], Any]:
    """The events of a provider's stream, and who read it."""
    reader = upstream.stream_reader(target(is_streamed=True))
    events = reader.feed(content)
    return events + reader.finish(), reader
