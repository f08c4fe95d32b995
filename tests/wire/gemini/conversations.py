"""What the tests of this format share: a request read from bytes, one written, targets and replies."""

from __future__ import annotations

from typing import Any

import msgspec

from app.wire.faces import Target
from app.wire.gemini import chat_client, chat_upstream
from app.wire.gemini.endpoints import GENERATE_CONTENT
from app.wire.neutral import Conversation
from app.wire.neutral_answer import Reply
from app.wire.notes import Notes
from app.wire.request import Incoming

from app.wire.gemini import client  # isort: skip

REPLY = Reply(id="0" * 32, model="hub/model", created=1_795_000_000, wants_usage=True)


def target(model: str = "gemini-3.5-flash", *, is_streamed: bool = False) -> Target:
    return Target(model=model, origin="google", is_streamed=is_streamed, call_id="abc")


def read(document: Any, action: str = "generateContent") -> Conversation:
    """A client's document as a conversation."""
    incoming = Incoming(
        path="/v1beta/models/m",
        headers={b"content-type": b"application/json"},
        variables={"model": "models/m", "action": action},
        body=msgspec.json.encode(document),
    )
    return chat_client.read_conversation(client.read(GENERATE_CONTENT, incoming))


def write(said: Conversation, model: str = "gemini-3.5-flash", notes: Notes | None = None) -> Any:
    """The document that Gemini is sent."""
    outgoing = chat_upstream.write_request(said, target(model), notes or Notes())
    return msgspec.json.decode(outgoing.content)


def noted(notes: Notes) -> list[tuple[str, str]]:
    return [(note.what, note.path) for note in notes.all]
