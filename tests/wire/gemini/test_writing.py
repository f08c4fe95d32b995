"""What Gemini is sent: histories that it takes, its own words for everything, and notes of the rest."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from app.base.errors import BadRequest
from app.wire.answers import BrokenStream, ErrorInside
from app.wire.gemini import chat_upstream, passed_history, passing, signatures
from app.wire.gemini.endpoints import BATCH_EMBED, COUNT_TOKENS, GENERATE_CONTENT
from app.wire.gemini.models import traits
from app.wire.neutral import (
    CacheMark,
    Conversation,
    File,
    Image,
    Message,
    Opaque,
    OutputFormat,
    Reasoning,
    ReasoningWish,
    Sampling,
    Source,
    Text,
    ToolCall,
    ToolChoice,
    ToolResult,
    ToolSpec,
)
from app.wire.notes import Notes
from app.wire.request import Request
from tests.emulators.gemini import checks
from tests.wire.gemini.conversations import noted, target, write

SIGNED = Opaque("google", "c2lnOmE=")
FOREIGN = Opaque("anthropic", "claude")
CALL: dict[str, Any] = {"functionCall": {"name": "f", "args": {}}}
HELLO = Message(role="user", parts=(Text(text="hello"),))


def _said(*messages: Message, **more: Any) -> Conversation:
    return Conversation(messages=messages, **more)


def _model(*parts: Any) -> Message:
    return Message(role="assistant", parts=parts)


def test_thoughts_go_back_only_to_who_signed_them() -> None:
    notes = Notes()
    thoughts = (
        Reasoning(text="mine", opaque=SIGNED, at="a"),
        Reasoning(text="theirs", opaque=FOREIGN, at="b"),
        Reasoning(text="nobody's", at="c"),
        Text(text="so", opaque=SIGNED),
        Text(text="and so", opaque=FOREIGN),
    )

    parts = write(_said(HELLO, _model(*thoughts), HELLO), notes=notes)["contents"][1]["parts"]

    assert parts == [
        {"text": "mine", "thought": True, "thoughtSignature": SIGNED.value},
        {"text": "so", "thoughtSignature": SIGNED.value},
        {"text": "and so"},
    ]
    assert noted(notes) == [("dropped", "b"), ("dropped", "c")]


@pytest.mark.parametrize(
    ("model", "expected"),
    [("gemini-3.8-flash", "skip_thought_signature_validator"), ("gemini-2.5-flash", None), ("gemma-3-27b-it", None)],
)
def test_pain_P57_calls_of_other_models_get_the_documented_word_where_it_is_asked_for(
    model: str, expected: str | None
) -> None:
    calls = [ToolCall(id="a", name="f", opaque=FOREIGN), ToolCall(id="b", name="g")]
    results = [ToolResult(call_id=call.id, parts=(Text(text="ok"),)) for call in calls]

    contents = write(_said(HELLO, _model(*calls), Message(role="user", parts=tuple(results))), model)["contents"]

    assert [part.get("thoughtSignature") for part in contents[1]["parts"]] == [expected, None]


def test_pain_P57_a_signature_that_stands_before_its_call_belongs_to_it() -> None:
    said = _said(HELLO, _model(Reasoning(opaque=SIGNED), ToolCall(id="a", name="f")))

    parts = write(said)["contents"][1]["parts"]

    assert parts == [{"functionCall": {"id": "a", "name": "f", "args": {}}, "thoughtSignature": SIGNED.value}]


def test_results_answer_every_call_in_its_order_before_anything_else() -> None:
    calls = [ToolCall(id=f"c{n}", name=name) for n, name in enumerate(("f", "g", "h"))]
    user = Message(
        role="user",
        parts=(
            ToolResult(call_id="c2", parts=(Text(text='{"deg": 3}'),)),
            ToolResult(call_id="c0", parts=(Text(text="broken"),), is_error=True),
            Text(text="go on"),
        ),
    )

    contents = write(_said(HELLO, _model(*calls), user))["contents"]

    responses = [part["functionResponse"] for part in contents[2]["parts"][:3]]
    assert [(one["id"], one["name"], one["response"]) for one in responses] == [
        ("c0", "f", {"error": "broken"}),
        ("c1", "g", {"error": "The function gave no result."}),
        ("c2", "h", {"deg": 3}),
    ]
    assert contents[2]["parts"][3] == {"text": "go on"}


def test_results_in_messages_of_their_own_are_one_turn() -> None:
    calls = [ToolCall(id="a", name="f"), ToolCall(id="b", name="g")]
    results = [Message(role="user", parts=(ToolResult(call_id=id_, parts=(Text(text=id_),)),)) for id_ in "ab"]
    between = Message(role="system", parts=(Text(text="Be kind."),))

    contents = write(_said(HELLO, _model(*calls), results[0], between, results[1], HELLO))["contents"]

    responses = [part["functionResponse"]["response"] for part in contents[2]["parts"][:2]]
    assert responses == [{"output": "a"}, {"output": "b"}]
    assert contents[2]["parts"][2:] == [{"text": "Be kind."}, {"text": "hello"}]


@pytest.mark.parametrize("model", ["gemini-3.8-flash", "gemini-2.5-flash"])
def test_a_picture_that_a_function_gave(model: str) -> None:
    picture = Image(source=Source(data="AAAA", media_type="image/png"))
    result = ToolResult(call_id="a", parts=(Text(text="seen"), picture))

    contents = write(_said(HELLO, _model(ToolCall(id="a", name="f")), Message(role="user", parts=(result,))), model)

    response, *beside = contents["contents"][2]["parts"]
    inline = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    if model == "gemini-3.8-flash":
        assert (response["functionResponse"]["parts"], beside) == ([inline], [])
    else:
        assert ("parts" in response["functionResponse"], beside) == (False, [inline])


def test_ids_that_are_not_legal_change_alike_on_both_sides() -> None:
    said = _said(
        HELLO,
        _model(ToolCall(id="a b/c", name="f")),
        Message(role="user", parts=(ToolResult(call_id="a b/c"),)),
    )

    contents = write(said)["contents"]

    assert contents[1]["parts"][0]["functionCall"]["id"] == contents[2]["parts"][0]["functionResponse"]["id"]
    checks.generate({"contents": contents}, "gemini-2.5-flash")


@pytest.mark.parametrize("model", ["gemini-3.8-flash", "gemini-2.5-flash"])
def test_turns_begin_and_end_as_the_model_wants(model: str) -> None:
    said = _said(_model(Text(text="a")), HELLO, HELLO, _model(Text(text="b")), _model(Text(text="c")))

    contents = write(said, model)["contents"]

    roles = [content["role"] for content in contents]
    assert roles == ["user", "model", "user", "model", *(["user"] if model == "gemini-3.8-flash" else [])]
    checks.generate({"contents": contents}, model)


def test_a_conversation_of_instructions_alone_is_one_turn() -> None:
    document = write(Conversation(system=(Text(text="Do it."),), messages=()))

    assert document["systemInstruction"] == {"parts": [{"text": "Do it."}]}
    assert document["contents"] == [{"role": "user", "parts": [{"text": "Continue."}]}]


@pytest.mark.parametrize(
    ("url", "part", "entry"),
    [
        ("https://example.com/a.webp?x=1", Image, {"mimeType": "image/webp"}),
        ("https://example.com/a", Image, {"mimeType": "image/jpeg"}),
        ("https://example.com/a.csv", File, {"mimeType": "text/csv"}),
        ("https://www.youtube.com/watch?v=x", File, {}),
    ],
)
def test_what_google_fetches_itself_is_named(url: str, part: Any, entry: dict[str, str]) -> None:
    message = Message(role="user", parts=(part(source=Source(url=url)),))

    assert write(_said(message))["contents"][0]["parts"] == [{"fileData": {"fileUri": url, **entry}}]


def test_a_file_of_another_provider_cannot_be_named() -> None:
    message = Message(role="user", parts=(File(source=Source(file_id="file-abc"), at="messages[0].content[0]"),))

    with pytest.raises(BadRequest) as caught:
        write(_said(message))

    assert caught.value.param == "messages[0].content[0]"


def test_a_schema_in_the_words_that_gemini_knows() -> None:
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {
            "kind": {"const": "a"},
            "default": {"type": "string", "default": "x"},
            "inner": {"$ref": "#/definitions/Inner", "description": "gone"},
            "wrapped": {"allOf": [{"type": "integer"}], "description": "kept"},
        },
        "definitions": {"Inner": {"type": "object", "properties": {"$schema": {"type": "string"}}}},
    }
    tool = ToolSpec(name="f", parameters=Raw(json.dumps(schema).encode()), strict=True)
    document = write(_said(HELLO, tools=(tool, ToolSpec(name="g"))))

    functions = document["tools"][0]["functionDeclarations"]
    assert functions[0]["parametersJsonSchema"] == {
        "type": "object",
        "properties": {
            "kind": {"enum": ["a"]},
            "default": {"type": "string"},
            "inner": {"$ref": "#/$defs/Inner"},
            "wrapped": {"type": "integer", "description": "kept"},
        },
        "$defs": {"Inner": {"type": "object", "properties": {"$schema": {"type": "string"}}}},
    }
    assert functions[1] == {"name": "g"}
    assert document["toolConfig"] == {"functionCallingConfig": {"mode": "VALIDATED"}}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice(mode="auto"), {"mode": "AUTO"}),
        (ToolChoice(mode="none"), {"mode": "NONE"}),
        (ToolChoice(mode="required"), {"mode": "ANY"}),
        (ToolChoice(mode="tool", name="f"), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
    ],
)
def test_the_choice_of_a_tool(choice: ToolChoice, expected: dict[str, Any]) -> None:
    document = write(_said(HELLO, tools=(ToolSpec(name="f"),), tool_choice=choice))

    assert document["toolConfig"] == {"functionCallingConfig": expected}


@pytest.mark.parametrize(
    ("model", "wish", "expected"),
    [
        ("gemini-3.8-flash", ReasoningWish(effort="none"), {"thinkingLevel": "LOW"}),
        ("gemini-3.5-flash", ReasoningWish(effort="none"), {"thinkingLevel": "MINIMAL"}),
        ("gemini-3.8-flash", ReasoningWish(effort="max"), {"includeThoughts": True, "thinkingLevel": "HIGH"}),
        ("gemini-3.8-flash", ReasoningWish(budget_tokens=4000), {"includeThoughts": True, "thinkingLevel": "LOW"}),
        ("gemini-3.8-flash", ReasoningWish(is_shown=True), {"includeThoughts": True}),
        ("gemini-flash-latest", ReasoningWish(effort="low"), {"includeThoughts": True, "thinkingLevel": "LOW"}),
        ("gemini-2.5-flash", ReasoningWish(effort="none"), {"thinkingBudget": 0}),
        ("gemini-2.5-pro", ReasoningWish(effort="none"), {"thinkingBudget": 128}),
        ("gemini-2.5-flash", ReasoningWish(budget_tokens=99_999), {"includeThoughts": True, "thinkingBudget": 24576}),
        (
            "gemini-2.5-pro",
            ReasoningWish(effort="low", is_shown=False),
            {"includeThoughts": False, "thinkingBudget": 2048},
        ),
        ("gemini-2.0-flash", ReasoningWish(effort="high"), None),
    ],
)
def test_thinking_by_the_models_generation(model: str, wish: ReasoningWish, expected: Any) -> None:
    document = write(_said(HELLO, reasoning=wish), model)

    assert document.get("generationConfig", {}).get("thinkingConfig") == expected


def test_a_schema_is_native_and_the_callers_limit_always_arrives() -> None:
    output = OutputFormat(mode="json_schema", schema=Raw(b'{"type":"object","properties":{"a":{"type":"string"}}}'))

    config = write(_said(HELLO, output=output, sampling=Sampling(max_tokens=9)))["generationConfig"]

    assert config == {
        "maxOutputTokens": 9,
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object", "properties": {"a": {"type": "string"}}},
    }


def test_before_gemini_3_a_schema_beside_functions_stands_in_the_prompt_and_is_noted() -> None:
    notes = Notes()
    output = OutputFormat(mode="json_schema", schema=Raw(b'{"type":"object"}'))
    said = _said(HELLO, output=output, tools=(ToolSpec(name="f"),), places={"output": "response_format"})

    document = write(said, "gemini-2.5-flash", notes)

    assert "generationConfig" not in document
    assert '{"type":"object"}' in document["systemInstruction"]["parts"][0]["text"]
    assert noted(notes) == [("emulated", "response_format")]


def test_every_mark_and_wish_without_a_word_is_noted() -> None:
    notes = Notes()
    mark = CacheMark()
    said = Conversation(
        system=(Text(text="s", cache=mark, at="system[0]"),),
        messages=(Message(role="user", parts=(Text(text="u", cache=mark, at="messages[0]"),)),),
        tools=(ToolSpec(name="f", cache=mark, at="tools[0]"),),
        has_parallel_tools=False,
        sampling=Sampling(n=2, logprobs=1, logit_bias=Raw(b"{}"), temperature=1.0),
        user="ada",
        verbosity="low",
        service_tier="scale",
        cache_all=mark,
    )
    write(said, "gemini-3.8-flash", notes)

    assert ("emulated", "cache_all") in noted(notes)
    assert {path for what, path in noted(notes) if what == "dropped"} == {
        *("system[0].cache_control", "messages[0].cache_control", "tools[0].cache_control"),
        *("has_parallel_tools", "n", "logprobs", "logit_bias", "temperature", "user", "verbosity", "service_tier"),
    }


def test_a_tuned_model_is_called_at_its_own_path() -> None:
    outgoing = chat_upstream.write_request(_said(HELLO), target("tunedModels/mine", is_streamed=True), Notes())
    usual = chat_upstream.write_request(_said(HELLO), target("gemini-3.8-flash"), Notes())

    assert outgoing.path == "/v1beta/tunedModels/mine:streamGenerateContent?alt=sse"
    assert usual.path is None


def test_names_that_say_no_version_are_the_newest() -> None:
    assert traits("gemini-flash-latest").has_levels and not traits("gemini-flash-latest").takes_sampling
    assert not traits("gemma-3-27b-it").thinks and traits("gemma-3-27b-it").takes_sampling
    assert traits("gemini-4-hydrogen").checks_signatures


# --- what it answers


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "error"),
        ("SOMETHING_NEW", "stop"),
    ],
)
def test_why_an_answer_ended(reason: str, finish: str) -> None:
    content = msgspec.json.encode({"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": reason}]})

    assert chat_upstream.read_answer(content, target()).finish == finish
    reader = chat_upstream.stream_reader(target(is_streamed=True))
    assert getattr(reader.feed(b"data: " + content + b"\n\n")[-1], "finish", None) == finish


def test_an_answer_of_all_kinds_of_parts() -> None:
    parts = [
        {"text": "hm", "thought": True},
        {"text": "a", "thoughtSignature": "c2ln"},
        {"executableCode": {"language": "PYTHON", "code": "1"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
        {"functionCall": {"name": "g"}},
    ]
    content = msgspec.json.encode({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]})

    answer = chat_upstream.read_answer(content, target())

    assert answer.finish == "tool_calls"
    assert [type(part).__name__ for part in answer.parts] == [
        *("Reasoning", "Text", "Text", "Text", "Image", "ToolCall", "ToolCall"),
    ]
    calls = [part for part in answer.parts if isinstance(part, ToolCall)]
    assert [(call.id, bytes(call.arguments), call.opaque) for call in calls] == [
        ("call_abc_0", b'{"a":1}', Opaque("google", "c2ln")),
        ("call_abc_1", b"{}", None),
    ]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"candidates":[]}', b'{"candidates":"x"}', b"\xff"])
def test_an_answer_that_is_none_is_a_broken_one(content: bytes) -> None:
    with pytest.raises(BrokenStream):
        chat_upstream.read_answer(content, target())


def test_an_error_in_place_of_an_answer_is_one() -> None:
    with pytest.raises(ErrorInside):
        chat_upstream.read_answer(b'{"error":{"code":503}}', target())
    reader = chat_upstream.stream_reader(target(is_streamed=True))
    assert reader.feed(b'data: {"error":{"code":503}}\n\n') == []
    assert reader.error is not None and not reader.is_complete


# --- the same format on both sides


def _passed(document: Any, endpoint: Any, **more: Any) -> Any:
    raw = {name: Raw(msgspec.json.encode(value)) for name, value in document.items()}
    request = Request(model="m", is_streamed=False, wants_usage=True, size=1, document=raw, **more)
    return msgspec.json.decode(passing.write(request, endpoint, "gemini-x", ()).content)


def test_a_body_goes_on_as_it_came() -> None:
    document = {"contents": [{"parts": [{"text": "a"}]}], "generation_config": {"top_k": 1}, "somethingNew": [1]}

    assert _passed(document, GENERATE_CONTENT) == document


def test_where_a_body_repeats_the_model_it_is_the_providers() -> None:
    requests = [{"model": "models/hub/embed", "content": {"parts": []}}, {"content": {"parts": []}}]

    batch = _passed({"requests": requests}, BATCH_EMBED)
    counted = _passed({"generateContentRequest": {"model": "models/hub", "contents": []}}, COUNT_TOKENS)

    assert [one["model"] for one in batch["requests"]] == ["models/gemini-x"] * 2
    assert counted["generateContentRequest"]["model"] == "models/gemini-x"
    with pytest.raises(BadRequest):
        _passed({"requests": [1]}, BATCH_EMBED)


def test_what_other_models_said_is_made_legal_and_the_rest_stays_byte_for_byte() -> None:
    foreign = signatures.written(Opaque("anthropic", "x"))
    contents = [
        {"role": "user", "parts": [{"text": "go"}]},
        {"role": "model", "parts": [{"text": "hm", "thought": True, "thoughtSignature": foreign}, CALL, CALL]},
        {"role": "model", "parts": [CALL]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}] * 3},
        {
            "role": "model",
            "parts": [{**CALL, "thoughtSignature": SIGNED.value}, {"text": "a", "thought_signature": foreign}],
        },
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]},
    ]

    newest = msgspec.json.decode(passed_history.legal(Raw(msgspec.json.encode(contents)), "gemini-3.8-flash"))

    placeholder = {**CALL, "thoughtSignature": "skip_thought_signature_validator"}
    assert newest[1]["parts"] == [placeholder, CALL]
    assert newest[2]["parts"] == [CALL]
    assert newest[4]["parts"] == [{**CALL, "thoughtSignature": SIGNED.value}, {"text": "a"}]
    checks.generate({"contents": newest}, "gemini-3.8-flash")
    older = msgspec.json.decode(passed_history.legal(Raw(msgspec.json.encode(contents)), "gemini-2.5-flash"))
    assert older[1]["parts"] == [CALL, CALL]


@pytest.mark.parametrize(
    "contents",
    [
        b'[ {"parts":[{"text":"a"}]} ]',
        b'[ {"role":"model","parts":[{"functionCall":{"name":"f"},"thoughtSignature":"c2ln"}]} ]',
        b'[ 1, {"role":"model","parts":[2,{"text":"aHViMS4="}]} ]',
        b'"functionCall"',
    ],
)
def test_a_history_of_geminis_own_is_not_touched(contents: bytes) -> None:
    assert bytes(passed_history.legal(Raw(contents), "gemini-3.8-flash")) == contents
