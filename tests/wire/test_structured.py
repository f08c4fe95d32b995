"""Answers that must follow a schema: the two ways to ask for them, the way back, and the check."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from app.base.errors import BadRequest, ProviderFailed
from app.wire import structured
from app.wire.neutral import Conversation, Message, OutputFormat, Reasoning, Text, ToolCall, ToolChoice, ToolSpec
from app.wire.neutral_answer import Answer, Event, Finished, ReasoningDelta, TextDelta, ToolCallDelta, ToolCallStart

SCHEMA = Raw(
    b'{"type":"object","properties":{"people":{"type":"array","items":{"$ref":"#/$defs/person"}}},'
    b'"required":["people"],"$defs":{"person":{"type":"object","properties":{"age":{"type":"integer"}}}}}'
)
OUTPUT = OutputFormat(mode="json_schema", name="my answer", schema=SCHEMA)
HELLO = (Message(role="user", parts=(Text(text="hello"),)),)


def said(**more: object) -> Conversation:
    return Conversation(messages=HELLO, output=OUTPUT, **more)  # type: ignore[arg-type]


def test_the_schema_becomes_a_tool_that_has_to_be_called() -> None:
    made = structured.as_forced_tool(said())

    assert [(tool.name, tool.parameters) for tool in made.tools] == [("my_answer", SCHEMA)]
    assert (made.tool_choice, made.output) == (ToolChoice(mode="tool", name="my_answer"), None)


def test_beside_the_callers_tools_one_of_all_has_to_be_called() -> None:
    made = structured.as_forced_tool(said(tools=(ToolSpec(name="look"),)))

    assert [tool.name for tool in made.tools] == ["look", "my_answer"]
    assert made.tool_choice == ToolChoice(mode="required")


def test_a_tool_of_the_schemas_name_is_refused_with_the_path() -> None:
    with pytest.raises(BadRequest) as caught:
        structured.as_forced_tool(said(tools=(ToolSpec(name="my_answer"),), places={"output": "response_format"}))

    assert caught.value.param == "response_format"


@pytest.mark.parametrize("has_json_mode", [True, False])
def test_the_schema_stands_in_the_prompt(has_json_mode: bool) -> None:
    made = structured.as_prompt(said(system=(Text(text="be kind"),)), has_json_mode=has_json_mode)

    assert made.system[0].text == "be kind"
    assert bytes(SCHEMA).decode() in made.system[1].text
    assert made.output == (OutputFormat(mode="json") if has_json_mode else None)


def test_the_forced_call_becomes_the_text() -> None:
    answer = Answer(
        parts=(
            Reasoning(text="hm"),
            Text(text="Here you are:"),
            ToolCall(id="1", name="my_answer", arguments=Raw(b'{"people":[]}')),
        ),
        finish="tool_calls",
    )

    made = structured.unfold(answer, "my_answer")
    assert made.parts == (Reasoning(text="hm"), Text(text='{"people":[]}'))
    assert made.finish == "stop"


def test_a_call_of_the_callers_own_tool_stays_one() -> None:
    call = ToolCall(id="1", name="look")
    made = structured.unfold(Answer(parts=(call,), finish="tool_calls"), "my_answer")

    assert (made.parts, made.finish) == ((call,), "tool_calls")


def test_a_stream_is_unfolded_alike() -> None:
    unfold = structured.Unfolding("my_answer")
    events: list[Event] = [
        ReasoningDelta("hm"),
        TextDelta("Here you are:"),
        ToolCallStart(0, "1", "my_answer"),
        ToolCallDelta(0, '{"people"'),
        ToolCallDelta(0, ":[]}"),
        Finished("tool_calls"),
    ]

    assert unfold(events) == [ReasoningDelta("hm"), TextDelta('{"people"'), TextDelta(":[]}"), Finished("stop")]


def test_other_calls_in_a_stream_keep_their_numbers_without_a_gap() -> None:
    unfold = structured.Unfolding("my_answer")
    events: list[Event] = [
        ToolCallStart(0, "1", "my_answer"),
        ToolCallStart(1, "2", "look"),
        ToolCallDelta(0, "{}"),
        ToolCallDelta(1, "{}"),
        Finished("tool_calls"),
    ]

    assert unfold(events) == [
        ToolCallStart(0, "2", "look"),
        TextDelta("{}"),
        ToolCallDelta(0, "{}"),
        Finished("tool_calls"),
    ]


FENCED = [
    ('{"a": 1}', '{"a": 1}'),
    ('```json\n{"a": 1}\n```', '{"a": 1}'),
    ('\n```\n{"a": "```"}\n```\n', '{"a": "```"}'),
    ('  {"a": 1}', '  {"a": 1}'),
    ("``", "``"),
    ("", ""),
    ("`x` is it", "`x` is it"),
]


@pytest.mark.parametrize(("text", "plain"), FENCED)
@given(sizes=st.lists(st.integers(1, 7), min_size=1, max_size=30))
def test_a_code_fence_is_left_out_of_a_stream_whatever_the_pieces(text: str, plain: str, sizes: list[int]) -> None:
    change = structured.change("prompt", None)
    assert change is not None
    pieces: list[Event] = []
    rest = text
    for size in sizes * (len(text) + 1):
        piece, rest = rest[:size], rest[size:]
        if piece:
            pieces.append(TextDelta(piece))
    made = [event for piece in pieces for event in change([piece])] + change([Finished("stop")])

    assert "".join(event.text for event in made if isinstance(event, TextDelta)) == plain
    assert made[-1] == Finished("stop")


@pytest.mark.parametrize(("text", "plain"), FENCED[:2])
def test_a_code_fence_is_left_out_of_a_whole_answer(text: str, plain: str) -> None:
    assert structured.without_fence(text) == plain


def test_native_answers_are_left_alone() -> None:
    assert structured.change("native", None) is None


@pytest.mark.parametrize(
    ("answer", "path"),
    [
        ({"people": [{"age": 1}, {"age": "old"}]}, "$.people[1].age"),
        ({}, "$"),
        ([], "$"),
    ],
)
def test_a_mismatch_names_its_place(answer: object, path: str) -> None:
    wrong = structured.problem(json.dumps(answer), SCHEMA)

    assert isinstance(wrong, ProviderFailed)
    assert (wrong.code, wrong.param, wrong.owner) == ("schema_mismatch", path, "provider")


@pytest.mark.parametrize("text", ["", "Sure! Here it is.", '{"people": ', "{'people': []}"])
def test_an_answer_that_is_no_json_is_a_mismatch(text: str) -> None:
    wrong = structured.problem(text, SCHEMA)

    assert wrong is not None
    assert (wrong.code, wrong.param) == ("schema_mismatch", "$")


def test_an_answer_that_fits_is_no_problem() -> None:
    assert structured.problem('{"people": [{"age": 36}]}', SCHEMA) is None


@pytest.mark.parametrize(
    "schema",
    [
        b'{"$ref":"http://127.0.0.1:1/schema.json"}',
        b'{"$ref":"file:///etc/passwd"}',
        b'{"$ref":"#/$defs/gone"}',
        b'{"type":"nothing"}',
        b'{"pattern":"("}',
        b"5",
    ],
)
def test_a_schema_that_is_none_or_far_away_is_the_callers_fault(schema: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        structured.check(Raw(schema), "response_format")

    assert caught.value.param == "response_format"
