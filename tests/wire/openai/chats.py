"""Short ways to read and write chat completions in tests."""

from __future__ import annotations

import json
from typing import Any

from app.wire.endpoint import Endpoint
from app.wire.faces import Target
from app.wire.neutral import Conversation
from app.wire.neutral_answer import Event, Reply
from app.wire.notes import Notes
from app.wire.openai import body, chat_client, chat_upstream
from app.wire.openai.endpoints import ENDPOINTS
from app.wire.request import Incoming

Json = dict[str, Any]

CHAT: Endpoint = next(endpoint for endpoint in ENDPOINTS if endpoint.name == "chat.completions")
HELLO: list[Json] = [{"role": "user", "content": "hello"}]
REPLY = Reply(id="0" * 32, model="house/model", created=1_795_000_000, wants_usage=True)


def target(origin: str = "openai", **changes: Any) -> Target:
    given: Json = {"model": "gpt-4o-mini", "origin": origin, "is_streamed": False, "call_id": "c" * 32}
    return Target(**(given | changes))


def read(messages: list[Json] | None = None, **fields: Any) -> Conversation:
    """What a client's JSON says."""
    document = {"model": "house/model", "messages": HELLO if messages is None else messages, **fields}
    return read_bytes(json.dumps(document).encode())


def read_bytes(content: bytes) -> Conversation:
    incoming = Incoming(path=CHAT.path, headers={b"content-type": b"application/json"}, body=content)
    return chat_client.read_conversation(body.read(CHAT, incoming))


def write(conversation: Conversation, to: Target | None = None, notes: Notes | None = None) -> Json:
    """What a provider is sent."""
    outgoing = chat_upstream.write_request(conversation, to or target(), Notes() if notes is None else notes)
    return json.loads(outgoing.content)


def noted(notes: Notes) -> list[tuple[str, str]]:
    return [(note.what, note.path) for note in notes.all]


def chunk(delta: Json, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "chatcmpl-1", "choices": [choice], **more}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def streamed(*pieces: bytes, to: Target | None = None) -> list[Event]:
    """The events of a provider's stream."""
    reader = chat_upstream.stream_reader(to or target(is_streamed=True))
    events = [event for piece in pieces for event in reader.feed(piece)]
    return events + reader.finish()
