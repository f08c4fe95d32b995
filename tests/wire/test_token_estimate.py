"""A guess at tokens: more for more of everything, and of the right size."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from app.wire.neutral import (
    Audio,
    Conversation,
    File,
    Image,
    Message,
    OutputFormat,
    Part,
    Source,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
)
from app.wire.request import Part as FormPart
from app.wire.request import Request, files, raw_of, text_bytes
from app.wire.token_estimate import estimate, input_estimate
from tests.wire.strategies import conversations


def _said(*parts: Part) -> Conversation:
    return Conversation(messages=(Message(role="user", parts=parts),))


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("The quick brown fox jumps over the lazy dog. " * 100, 900, 1300),
        ("快速的棕色狐狸跳过懒狗。" * 100, 600, 1300),
        ("", 1, 5),
    ],
)
def test_text_comes_to_about_what_tokenizers_make_of_it(text: str, least: int, most: int) -> None:
    assert least <= estimate(_said(Text(text=text))) <= most


@given(conversations())
def test_nothing_makes_it_less(said: Conversation) -> None:
    before = estimate(said)
    more = (
        Text(text="word"),
        Image(source=Source(url="https://example.com/a.png")),
        Audio(source=Source(data="A" * 4000, media_type="audio/wav")),
        File(source=Source(url="https://example.com/a.pdf")),
        ToolCall(id="a", name="f", arguments=Raw(b'{"a":1}')),
        ToolResult(call_id="a", parts=(Text(text="ok"),)),
    )
    for part in more:
        assert estimate(replace(said, messages=(*said.messages, Message(role="user", parts=(part,))))) > before
    assert estimate(replace(said, tools=(*said.tools, ToolSpec(name="another")))) > before
    schema = OutputFormat(mode="json_schema", schema=Raw(b'{"type":"object","properties":{"b":{"type":"string"}}}'))
    assert estimate(replace(said, output=schema)) >= estimate(replace(said, output=None))
    assert before >= 1


def _sent(**fields: Any) -> Request:
    document = {name: raw_of(value) for name, value in fields.items()}
    return Request(model="m", is_streamed=False, wants_usage=False, size=0, document=document)


BASE64 = base64.b64encode(bytes(range(256)) * 400).decode()


@pytest.mark.parametrize(
    "written", [BASE64, f"data:image/png;base64,{BASE64}", f"see ![it](data:image/png;base64,{BASE64})"]
)
def test_a_file_inside_of_a_request_costs_the_same_whatever_its_size(written: str) -> None:
    said = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": written}}]}]

    assert 1_500 < input_estimate(_sent(messages=said)) < 1_550


@pytest.mark.parametrize(
    ("before", "after"), [(b"/", b"\\/"), (b"+", b"\\u002B"), (b"AAEC", b"AAEC\\n")], ids=["slash", "plus", "lines"]
)
def test_a_file_is_one_however_its_base64_is_escaped(before: bytes, after: bytes) -> None:
    plain = Raw(msgspec.json.encode([BASE64]))
    request = _sent()
    request.document = {"input": Raw(bytes(plain).replace(before, after))}

    assert bytes(request.document["input"]) != bytes(plain)
    assert input_estimate(request) == input_estimate(_sent(input=[BASE64]))


def test_a_file_named_by_its_address_costs_as_much_as_one_that_came_along() -> None:
    said = [{"file_data": {"file_uri": "https://a.example/b.pdf"}}, {"image_url": {"url": "https://a.example/b.png"}}]

    assert 3_000 < input_estimate(_sent(contents=said)) < 3_050
    assert input_estimate(_sent(tools=[{"$schema": "https://json-schema.org/draft/2020-12/schema"}])) < 50


@pytest.mark.parametrize("text", ["word " * 1000, "词" * 1000, "a" * 1000])
def test_text_is_no_file(text: str) -> None:
    escaped = _sent()
    escaped.document = {"input": Raw(json.dumps(text).encode())}

    assert len(text.encode()) // 4 <= input_estimate(_sent(input=text)) < 1_500
    assert input_estimate(escaped) >= input_estimate(_sent(input=text))


def test_the_files_of_a_form_cost_the_same_each() -> None:
    parts = (
        FormPart("prompt", b"", False, b"p" * 400),
        FormPart("image", b"", True, b"x" * 99_999),
        FormPart("mask", b"", True, b""),
    )

    assert input_estimate(Request(model="m", is_streamed=False, wants_usage=False, size=0, parts=parts)) == 3_100


@given(
    st.dictionaries(
        st.text(max_size=5), st.text() | st.lists(st.text(alphabet='ab\\"/+=;,:64 ', max_size=3000)), max_size=4
    )
)
def test_every_byte_is_text_or_a_files(fields: dict[str, Any]) -> None:
    request = _sent(**fields)
    values = sum(len(raw) for raw in (request.document or {}).values())

    assert 0 <= text_bytes(request) <= values
    assert text_bytes(request) + sum(files(request)) == values
    assert input_estimate(request) >= -(-text_bytes(request) // 4)
