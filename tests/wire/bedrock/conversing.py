"""What the tests of Converse share: a target, a short conversation, and a request as it would go out."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
from msgspec import Raw

from app.wire.bedrock import converse
from app.wire.faces import Target
from app.wire.neutral import Conversation, Message, Opaque, Part, Reasoning, Text, ToolCall, ToolResult, ToolSpec
from app.wire.notes import Notes
from tests.emulators.bedrock import checks, oracle

Json = dict[str, Any]

SONNET = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
OPUS = "anthropic.claude-opus-4-6-v1"
NEWEST = "global.anthropic.claude-opus-4-7"
OLD = "anthropic.claude-3-5-sonnet-20240620-v1:0"
NOVA, NOVA_2 = "amazon.nova-lite-v1:0", "us.amazon.nova-2-lite-v1:0"
LLAMA, MISTRAL, GPT = "us.meta.llama3-3-70b-instruct-v1:0", "mistral.mistral-large-2402-v1:0", "openai.gpt-oss-120b-1:0"
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3"
MODELS = (SONNET, OPUS, NEWEST, OLD, NOVA, NOVA_2, LLAMA, MISTRAL, GPT, PROFILE)

PDF = base64.b64encode(b"%PDF-1.7 emulated").decode()
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n emulated").decode()
WEATHER = ToolSpec(
    name="weather", parameters=Raw(b'{"type":"object","properties":{"city":{"type":"string"}}}'), at="tools[0]"
)


def target(model: str = SONNET, *, is_streamed: bool = False) -> Target:
    return Target(model=model, origin="bedrock", is_streamed=is_streamed, call_id="0" * 32)


def user(*parts: Part | str) -> Message:
    return Message(role="user", parts=tuple(Text(text=part) if isinstance(part, str) else part for part in parts))


def assistant(*parts: Part | str) -> Message:
    return Message(role="assistant", parts=tuple(Text(text=part) if isinstance(part, str) else part for part in parts))


def call(id_: str, name: str = "weather", **fields: Any) -> ToolCall:
    return ToolCall(id=id_, name=name, arguments=Raw(b'{"city":"Oslo"}'), **fields)


def result(id_: str, text: str = "rain", **fields: Any) -> ToolResult:
    return ToolResult(call_id=id_, parts=(Text(text=text),), **fields)


def thought(text: str = "hm", *, origin: str = "bedrock") -> Reasoning:
    return Reasoning(text=text, opaque=Opaque(origin, checks.signature_of(text)))


def said(*messages: Message, **fields: Any) -> Conversation:
    return Conversation(messages=messages or (user("hello"),), **fields)


def written(conversation: Conversation, model: str = SONNET, notes: Notes | None = None) -> Json:
    """The request's document, after everybody who knows the rules has looked at it.

    Raises:
        Refused: the emulator would not take it.
    """
    outgoing = converse.write_request(conversation, target(model), notes or Notes())
    body = msgspec.json.decode(outgoing.content)
    checks.converse(body, "Converse", model)
    shape = oracle.service("bedrock-runtime").operation_model("Converse").input_shape
    report = oracle.validate.ParamValidator().validate({**body, "modelId": model}, shape)
    assert not report.has_errors(), report.generate_report()
    return body


def noted(notes: Notes) -> set[tuple[str, str]]:
    return {(note.path, note.what) for note in notes.all}
