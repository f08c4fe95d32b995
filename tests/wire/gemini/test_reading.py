"""What Gemini's callers say: every field is taken, or named by its path."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from app.base.errors import BadRequest
from app.wire.gemini import client
from app.wire.gemini.endpoints import COUNT_TOKENS, GENERATE_CONTENT
from app.wire.neutral import (
    Audio,
    File,
    Image,
    Reasoning,
    ReasoningWish,
    Source,
    Text,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from app.wire.request import Incoming
from tests.wire.gemini.conversations import read


def _hello(**more: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": "hello"}]}], **more}


def _parts(*parts: dict[str, Any], role: str = "user") -> Any:
    return read({"contents": [{"role": role, "parts": list(parts)}]}).messages[0].parts


def test_settings_are_found_under_their_paths() -> None:
    said = read(
        _hello(
            generationConfig={
                "maxOutputTokens": 5,
                "temperature": 0,
                "topP": 0.5,
                "topK": 40.0,
                "stopSequences": ["a", "b"],
                "seed": 7,
                "candidateCount": 2,
                "responseLogprobs": True,
                "logprobs": 3,
                "responseModalities": ["TEXT", "IMAGE"],
            },
            serviceTier="flex",
        )
    )

    sampling = said.sampling
    assert (sampling.max_tokens, sampling.temperature, sampling.top_p, sampling.top_k) == (5, 0, 0.5, 40)
    assert (sampling.stop, sampling.seed, sampling.n, sampling.logprobs) == (("a", "b"), 7, 2, 3)
    assert (said.modalities, said.service_tier) == (("text", "image"), "flex")
    assert said.at("top_k") == "generationConfig.topK"
    assert said.unread == ()


def test_what_no_other_provider_has_is_named() -> None:
    said = read(
        _hello(
            safetySettings=[],
            cachedContent="cachedContents/x",
            tools=[{"googleSearch": {}}, {"functionDeclarations": [{"name": "f", "behavior": "NON_BLOCKING"}]}],
            generationConfig={"speechConfig": {"languageCode": "de"}, "newThing": 1},
        )
    )

    assert set(said.unread) == {
        "safetySettings",
        "cachedContent",
        "tools[0].googleSearch",
        "tools[1].functionDeclarations[0].behavior",
        "generationConfig.speechConfig",
        "generationConfig.newThing",
    }


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            {"inlineData": {"mimeType": "image/png", "data": "-_8"}},
            Image(source=Source(data="+/8=", media_type="image/png"), at="contents[0].parts[0]"),
        ),
        (
            {"inline_data": {"mime_type": "audio/wav", "data": "AAAA"}},
            Audio(source=Source(data="AAAA", media_type="audio/wav"), at="contents[0].parts[0]"),
        ),
        (
            {"fileData": {"fileUri": "https://example.com/a.pdf", "mimeType": "application/pdf"}},
            File(
                source=Source(url="https://example.com/a.pdf", media_type="application/pdf"), at="contents[0].parts[0]"
            ),
        ),
        (
            {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/x"}},
            File(
                source=Source(file_id="https://generativelanguage.googleapis.com/v1beta/files/x"),
                at="contents[0].parts[0]",
            ),
        ),
        (
            {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
            Text(text="```python\nprint(1)\n```", at="contents[0].parts[0]"),
        ),
        ({"text": "hm", "thought": True}, Reasoning(text="hm", at="contents[0].parts[0]")),
    ],
)
def test_a_part_of_each_kind(part: dict[str, Any], expected: object) -> None:
    assert _parts(part) == (expected,)


def test_responses_without_ids_belong_to_the_calls_before_them_in_their_order() -> None:
    call = {"functionCall": {"name": "f", "args": {"a": 1}}}
    said = read(
        {
            "contents": [
                {"role": "user", "parts": [{"text": "go"}]},
                {"role": "model", "parts": [call, call, {"functionCall": {"name": "g", "id": "mine"}}]},
                {
                    "role": "function",
                    "parts": [
                        {"text": "said first"},
                        {"functionResponse": {"name": "g", "response": {"output": "G"}}},
                        {"functionResponse": {"name": "f", "response": {"result": 1}}},
                        {"functionResponse": {"name": "f", "response": {"error": "no"}}},
                    ],
                },
            ]
        }
    )

    calls = [part for part in said.messages[1].parts if isinstance(part, ToolCall)]
    results = [part for part in said.messages[2].parts if isinstance(part, ToolResult)]
    assert len({call.id for call in calls}) == 3
    assert [result.call_id for result in results] == [calls[2].id, calls[0].id, calls[1].id]
    assert [result.is_error for result in results] == [False, False, True]
    assert isinstance(said.messages[2].parts[-1], Text)


def test_a_schema_of_googles_own_kind_becomes_json_schema() -> None:
    own = {
        "type": "OBJECT",
        "properties": {
            "any_of": {"type": "STRING", "nullable": True, "max_length": "3"},
            "list": {"type": "ARRAY", "items": {"type": "INTEGER"}, "minItems": "1"},
        },
        "property_ordering": ["any_of"],
    }
    said = read(
        _hello(
            tools=[{"function_declarations": [{"name": "f", "parameters": own}]}],
            generationConfig={"responseMimeType": "application/json", "responseSchema": own},
        )
    )

    expected = {
        "type": "object",
        "properties": {
            "any_of": {"type": ["string", "null"], "maxLength": 3},
            "list": {"type": "array", "items": {"type": "integer"}, "minItems": 1},
        },
    }
    assert msgspec.json.decode(said.tools[0].parameters) == expected
    assert said.output is not None and said.output.schema is not None
    assert msgspec.json.decode(said.output.schema) == expected


def test_names_that_are_the_callers_own_keep_their_spelling() -> None:
    schema = {"type": "object", "properties": {"first_name": {"type": "string"}}}
    said = read(
        {
            "contents": [{"parts": [{"function_call": {"name": "f_g", "args": {"first_name": {"last_name": 1}}}}]}],
            "tools": [{"function_declarations": [{"name": "f_g", "parameters_json_schema": schema}]}],
        }
    )

    call = said.messages[0].parts[0]
    assert isinstance(call, ToolCall) and bytes(call.arguments) == b'{"first_name":{"last_name":1}}'
    assert msgspec.json.decode(said.tools[0].parameters) == schema


@pytest.mark.parametrize(
    ("thinking", "expected"),
    [
        ({"thinkingBudget": 0}, ReasoningWish(effort="none")),
        ({"thinkingBudget": -1, "includeThoughts": True}, ReasoningWish(is_shown=True)),
        ({"thinkingBudget": 512}, ReasoningWish(budget_tokens=512)),
        ({"thinking_level": "low", "include_thoughts": False}, ReasoningWish(effort="low", is_shown=False)),
        ({"thinkingLevel": "HIGH"}, ReasoningWish(effort="high")),
    ],
)
def test_thinking_is_a_level_or_a_budget(thinking: Any, expected: ReasoningWish) -> None:
    assert read(_hello(generationConfig={"thinkingConfig": thinking})).reasoning == expected


@pytest.mark.parametrize(
    ("calling", "choice", "offered"),
    [
        ({"mode": "AUTO"}, ToolChoice(mode="auto"), ["f", "g", "h"]),
        ({"mode": "VALIDATED"}, ToolChoice(mode="auto"), ["f", "g", "h"]),
        ({"mode": "NONE"}, ToolChoice(mode="none"), ["f", "g", "h"]),
        ({"mode": "ANY"}, ToolChoice(mode="required"), ["f", "g", "h"]),
        ({"mode": "ANY", "allowedFunctionNames": ["g"]}, ToolChoice(mode="tool", name="g"), ["f", "g", "h"]),
        ({"mode": "ANY", "allowedFunctionNames": ["g", "h"]}, ToolChoice(mode="required"), ["g", "h"]),
    ],
)
def test_the_choice_of_functions(calling: Any, choice: ToolChoice, offered: list[str]) -> None:
    functions = [{"name": name} for name in "fgh"]
    said = read(_hello(tools=[{"functionDeclarations": functions}], toolConfig={"functionCallingConfig": calling}))

    assert said.tool_choice == choice
    assert [tool.name for tool in said.tools] == offered
    assert bool(said.emulated) == (len(offered) < 3)


@pytest.mark.parametrize(
    ("document", "path"),
    [
        (_hello(contents="hi"), "contents"),
        ({"contents": [{"role": "assistant", "parts": []}]}, "contents[0].role"),
        ({"contents": [{"parts": [{}]}]}, "contents[0].parts[0]"),
        ({"contents": [{"parts": [{"inlineData": {"data": "AA"}}]}]}, "contents[0].parts[0].inlineData.mimeType"),
        ({"contents": [{"parts": [{"fileData": {"fileUri": "ftp://x"}}]}]}, "contents[0].parts[0].fileData.fileUri"),
        ({"contents": [{"parts": [{"functionCall": {"args": {}}}]}]}, "contents[0].parts[0].functionCall.name"),
        (_hello(generationConfig={"topP": "x"}), "generationConfig.topP"),
        (
            _hello(generationConfig={"thinkingConfig": {"thinkingLevel": "SOME"}}),
            "generationConfig.thinkingConfig.thinkingLevel",
        ),
        (_hello(tools=[{"functionDeclarations": [{}]}]), "tools[0].functionDeclarations[0].name"),
        ({}, "contents"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(document: Any, path: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(document)

    assert caught.value.param == path


@pytest.mark.parametrize(
    ("in_path", "model"),
    [("models/openai/gpt-4o", "openai/gpt-4o"), ("tunedModels/mine", "tunedModels/mine"), ("models/a:b", "a:b")],
)
def test_the_model_stands_in_the_path(in_path: str, model: str) -> None:
    incoming = Incoming(
        path="",
        headers={b"content-type": b"application/json"},
        variables={"model": in_path, "action": "streamGenerateContent"},
        body=msgspec.json.encode(_hello()),
    )

    request = client.read(GENERATE_CONTENT, incoming)

    assert (request.model, request.is_streamed) == (model, True)


def test_a_whole_request_can_be_counted() -> None:
    def counted(document: Any) -> Any:
        body = msgspec.json.encode(document)
        headers = {b"content-type": b"application/json"}
        incoming = Incoming(path="", headers=headers, variables={"model": "models/m"}, body=body)
        return client.counted(client.read(COUNT_TOKENS, incoming)).document

    assert counted({"generateContentRequest": {"model": "models/m", **_hello()}}).keys() == {"contents"}
    assert counted(_hello()).keys() == {"contents"}
    for wrong in ({}, {**_hello(), "generateContentRequest": {}}, {"generateContentRequest": 1}):
        with pytest.raises(BadRequest):
            counted(wrong)
