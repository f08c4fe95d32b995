"""What Bedrock is sent: every conversation becomes one that the service takes, and nothing is lost silently."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from app.base.errors import BadRequest
from app.wire.bedrock import converse
from app.wire.neutral import (
    Audio,
    CacheMark,
    Conversation,
    File,
    Image,
    Message,
    Opaque,
    OutputFormat,
    Part,
    Reasoning,
    ReasoningWish,
    Refusal,
    Sampling,
    Source,
    Text,
    ToolChoice,
    ToolResult,
)
from app.wire.notes import Notes
from tests.wire.bedrock.conversing import (
    GPT,
    LLAMA,
    MISTRAL,
    MODELS,
    NEWEST,
    NOVA,
    NOVA_2,
    OLD,
    OPUS,
    PDF,
    PNG,
    PROFILE,
    SONNET,
    WEATHER,
    assistant,
    call,
    noted,
    result,
    said,
    target,
    thought,
    user,
    written,
)
from tests.wire.strategies import conversations

_PART = st.one_of(
    st.builds(Text, text=st.sampled_from(["hello", " ", "", "wörld"]), cache=st.none() | st.builds(CacheMark)),
    st.just(Image(source=Source(data=PNG, media_type="image/png"))),
    st.builds(
        File,
        source=st.just(Source(data=PDF, media_type="application/pdf")),
        name=st.none() | st.sampled_from(["a.pdf", "a b/c.pdf", "«", "a.pdf"]),
    ),
    st.sampled_from(["t1", "t2", "a/b:c"]).map(call),
    st.sampled_from(["t1", "t2", "a/b:c"]).map(lambda id_: result(id_)),
    st.builds(ToolResult, call_id=st.just("t1"), is_error=st.booleans()),
    st.just(thought()),
    st.just(Reasoning(text="unsigned")),
    st.just(Refusal(text="no")),
)


@st.composite
def _muddles(draw: st.DrawFn) -> Conversation:
    """Histories that no client should send, and some do."""
    messages: list[Message] = []
    for role in draw(st.lists(st.sampled_from(["user", "assistant", "system"]), max_size=6)):
        parts = draw(st.lists(_PART, max_size=4))
        messages.append(Message(role=role, parts=tuple(parts)))
    tools = (WEATHER,) if draw(st.booleans()) else ()
    choice = draw(st.sampled_from([None, "auto", "none", "required"])) if tools else None
    return Conversation(
        messages=tuple(messages),
        tools=tools,
        tool_choice=None if choice is None else ToolChoice(mode=choice),
        reasoning=draw(st.none() | st.builds(ReasoningWish, effort=st.sampled_from(["none", "low", "max"]))),
        cache_all=draw(st.none() | st.just(CacheMark(ttl="1h"))),
    )


def _only_bytes(conversation: Conversation) -> Conversation:
    """What the gateway has done before: nothing is named by a URL any more."""

    def inlined(part: Part) -> Part:
        if isinstance(part, Image) and part.source.url is not None:
            return replace(part, source=Source(data=PNG, media_type="image/png"))
        return part

    messages = tuple(replace(one, parts=tuple(inlined(part) for part in one.parts)) for one in conversation.messages)
    return replace(conversation, messages=messages)


@given(conversations(), st.sampled_from(MODELS))
def test_any_conversation_becomes_one_that_the_service_takes(conversation: Conversation, model: str) -> None:
    written(_only_bytes(conversation), model)


@given(_muddles(), st.sampled_from(MODELS))
def test_any_muddled_history_becomes_a_legal_one(conversation: Conversation, model: str) -> None:
    written(conversation, model)


def test_text_system_and_settings_stand_where_converse_has_them() -> None:
    sampling = Sampling(max_tokens=50, temperature=0.5, stop=("END",), top_k=7)
    body = written(said(user("hello"), system=(Text(text="Be brief."),), sampling=sampling, user="u-1"))
    assert body == {
        "messages": [{"role": "user", "content": [{"text": "hello"}]}],
        "system": [{"text": "Be brief."}],
        "inferenceConfig": {"maxTokens": 50, "temperature": 0.5, "stopSequences": ["END"]},
        "additionalModelRequestFields": {"top_k": 7},
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
        "requestMetadata": {"user": "u-1"},
    }


def test_a_tool_loop_with_parallel_calls_is_answered_in_one_message() -> None:
    body = written(
        said(
            user("weather here and there"),
            assistant("Let me look.", call("one"), call("two")),
            user(result("two", "sun"), result("one", "rain"), "and tomorrow?"),
            tools=(WEATHER,),
        )
    )
    assert body["messages"][1]["content"] == [
        {"text": "Let me look."},
        {"toolUse": {"toolUseId": "one", "name": "weather", "input": {"city": "Oslo"}}},
        {"toolUse": {"toolUseId": "two", "name": "weather", "input": {"city": "Oslo"}}},
    ]
    assert body["messages"][2]["content"] == [
        {"toolResult": {"toolUseId": "one", "content": [{"text": "rain"}]}},
        {"toolResult": {"toolUseId": "two", "content": [{"text": "sun"}]}},
        {"text": "and tomorrow?"},
    ]
    assert body["toolConfig"] == {
        "tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": msgspec.json.decode(WEATHER.parameters)}}}]
    }


def test_a_foreign_id_is_made_legal_alike_in_call_and_result() -> None:
    body = written(said(user("?"), assistant(call("a/b c")), user(result("a/b c")), tools=(WEATHER,)))
    made = body["messages"][1]["content"][0]["toolUse"]["toolUseId"]
    assert made.startswith("call_")
    assert body["messages"][2]["content"][0]["toolResult"]["toolUseId"] == made


def test_an_id_that_a_client_uses_twice_is_told_apart_in_calls_and_results() -> None:
    body = written(
        said(
            user("?"),
            assistant(call("call_0"), call("call_0")),
            user(result("call_0", "sun"), result("call_0", "rain")),
            assistant(call("call_0")),
            user(result("call_0", "snow")),
            tools=(WEATHER,),
        )
    )
    results = [
        block["toolResult"] for message in body["messages"] for block in message["content"] if "toolResult" in block
    ]
    assert [(one["toolUseId"], one["content"][0]["text"]) for one in results] == [
        ("call_0", "sun"),
        ("call_0_2", "rain"),
        ("call_0_3", "snow"),
    ]


def test_results_hold_pictures_and_failures() -> None:
    failed = ToolResult(call_id="one", is_error=True)
    drawn = ToolResult(
        call_id="two", parts=(Text(text="a map"), Image(source=Source(data=PNG, media_type="image/png")))
    )
    body = written(said(user("?"), assistant(call("one"), call("two")), user(failed, drawn), tools=(WEATHER,)))
    assert [block["toolResult"] for block in body["messages"][2]["content"]] == [
        {"toolUseId": "one", "content": [{"json": {}}], "status": "error"},
        {"toolUseId": "two", "content": [{"text": "a map"}, {"image": {"format": "png", "source": {"bytes": PNG}}}]},
    ]


def test_a_call_without_a_result_and_a_result_without_a_call_are_mended_and_noted() -> None:
    notes = Notes()
    body = written(
        said(
            user(result("lost", at="messages[0]")),
            assistant(call("open", at="messages[1].tool_calls[0]")),
            user("never mind"),
            tools=(WEATHER,),
        ),
        notes=notes,
    )
    assert body["messages"][0]["content"] == [{"text": "rain"}]
    assert body["messages"][2]["content"][0]["toolResult"]["status"] == "error"
    assert {("messages[0]", "emulated"), ("messages[1].tool_calls[0]", "defaulted")} <= noted(notes)


def test_calls_of_the_history_bring_their_tools_where_the_client_sends_none() -> None:
    notes = Notes()
    body = written(said(user("?"), assistant(call("one")), user(result("one"))), notes=notes)
    assert body["toolConfig"]["tools"][0]["toolSpec"]["name"] == "weather"
    assert ("tools", "defaulted") in noted(notes)


@pytest.mark.parametrize(
    ("choice", "model", "expected", "note"),
    [
        (ToolChoice(mode="auto"), SONNET, None, None),
        (ToolChoice(mode="required"), SONNET, {"any": {}}, None),
        (ToolChoice(mode="tool", name="weather"), NOVA, {"tool": {"name": "weather"}}, None),
        (ToolChoice(mode="tool", name="weather"), MISTRAL, {"any": {}}, None),
        (ToolChoice(mode="required"), LLAMA, None, ("tool_choice", "dropped")),
    ],
)
def test_a_tool_is_forced_as_far_as_the_model_can_be(
    choice: ToolChoice, model: str, expected: Any, note: tuple[str, str] | None
) -> None:
    notes = Notes()
    body = written(said(tools=(WEATHER,), tool_choice=choice), model, notes)
    assert body["toolConfig"].get("toolChoice") == expected
    assert noted(notes) == ({note} if note else set())


def test_no_tool_means_no_tools_unless_the_history_needs_them() -> None:
    none = ToolChoice(mode="none")
    assert "toolConfig" not in written(said(tools=(WEATHER,), tool_choice=none))

    notes = Notes()
    body = written(
        said(user("?"), assistant(call("one")), user(result("one")), tools=(WEATHER,), tool_choice=none), notes=notes
    )
    assert "toolConfig" in body
    assert "Do not call any tool" in body["system"][-1]["text"]
    assert noted(notes) == {("tool_choice", "emulated")}


def test_a_tool_with_a_name_that_bedrock_refuses_is_refused_with_its_path() -> None:
    with pytest.raises(BadRequest) as refused:
        written(said(tools=(replace(WEATHER, name="look.up", at="tools[3]"),)))
    assert refused.value.param == "tools[3]"


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            Image(source=Source(data=PNG, media_type="image/jpeg")),
            {"image": {"format": "jpeg", "source": {"bytes": PNG}}},
        ),
        (
            Audio(source=Source(data=PNG, media_type="audio/mpeg")),
            {"audio": {"format": "mp3", "source": {"bytes": PNG}}},
        ),
        (
            File(source=Source(data=PDF, media_type="application/pdf"), name="Q3 report_(final).v2.pdf"),
            {"document": {"format": "pdf", "name": "Q3 report (final) v2", "source": {"bytes": PDF}}},
        ),
        (
            File(source=Source(data=PDF, media_type="text/x-log; charset=utf-8")),
            {"document": {"format": "txt", "name": "document", "source": {"bytes": PDF}}},
        ),
        (
            File(source=Source(data=PDF, media_type="video/quicktime"), name="cat.mov"),
            {"video": {"format": "mov", "source": {"bytes": PDF}}},
        ),
    ],
)
def test_pictures_sounds_documents_and_videos_become_blocks_of_bytes(part: Part, block: dict[str, Any]) -> None:
    assert written(said(user("look", part)))["messages"][0]["content"] == [{"text": "look"}, block]


def test_documents_have_names_that_differ_and_a_text_beside_them() -> None:
    pdf = File(source=Source(data=PDF, media_type="application/pdf"), name="a.pdf")
    notes = Notes()
    content = written(said(user(pdf, pdf)), notes=notes)["messages"][0]["content"]
    assert [block["document"]["name"] for block in content[:2]] == ["a", "a 2"]
    assert content[2] == {"text": "."}
    assert noted(notes) == {("messages", "defaulted")}


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (Source(url="https://example.com/a.png"), "does not fetch"),
        (Source(file_id="file-1"), "another provider"),
        (Source(data=PNG, media_type="image/tiff"), "image/tiff"),
    ],
)
def test_a_picture_that_bedrock_cannot_be_given_is_refused_with_its_path(source: Source, words: str) -> None:
    with pytest.raises(BadRequest, match=words) as refused:
        written(said(user(Image(source=source, at="messages[0].content[1]"))))
    assert refused.value.param == "messages[0].content[1]"


def test_thoughts_go_back_to_who_signed_them_alone() -> None:
    hidden = Reasoning(opaque=Opaque("bedrock", base64.b64encode(b"x").decode()), is_redacted=True)
    foreign = replace(thought("foreign", origin="anthropic"), at="messages[1].thoughts")
    notes = Notes()
    body = written(said(user("?"), assistant(thought("mine"), hidden, foreign, "So."), user("Why?")), notes=notes)
    shown = {"text": "mine", "signature": thought("mine").opaque.value}  # type: ignore[union-attr]
    assert body["messages"][1]["content"] == [
        {"reasoningContent": {"reasoningText": shown}},
        {"reasoningContent": {"redactedContent": "eA=="}},
        {"text": "So."},
    ]
    assert noted(notes) == {("messages[1].thoughts", "dropped")}


@pytest.mark.parametrize(
    ("model", "wish", "fields", "what"),
    [
        (
            SONNET,
            ReasoningWish(budget_tokens=4000),
            {"thinking": {"type": "enabled", "budget_tokens": 4000}},
            None,
        ),
        (SONNET, ReasoningWish(effort="low"), {"thinking": {"type": "enabled", "budget_tokens": 2048}}, "emulated"),
        (SONNET, ReasoningWish(effort="none"), None, None),
        (
            OPUS,
            ReasoningWish(effort="high"),
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
            None,
        ),
        (
            OPUS,
            ReasoningWish(budget_tokens=20_000),
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
            "emulated",
        ),
        (
            NEWEST,
            ReasoningWish(effort="xhigh", is_shown=True),
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "xhigh"}},
            None,
        ),
        (
            NOVA_2,
            ReasoningWish(effort="medium"),
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}},
            None,
        ),
        (
            "anthropic.claude-opus-5",
            ReasoningWish(effort="none"),
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
            "emulated",
        ),
        (GPT, ReasoningWish(effort="minimal"), {"reasoning_effort": "low"}, "emulated"),
        (NOVA, ReasoningWish(effort="high"), None, "dropped"),
        (OLD, ReasoningWish(effort="high"), None, "dropped"),
        (PROFILE, ReasoningWish(effort="high"), None, "dropped"),
    ],
)
def test_each_family_is_told_to_think_in_its_own_words(
    model: str, wish: ReasoningWish, fields: dict[str, Any] | None, what: str | None
) -> None:
    notes = Notes()
    body = written(said(reasoning=wish), model, notes)
    assert body.get("additionalModelRequestFields") == fields
    assert {note.what for note in notes.all} == ({what} if what else set())


def test_a_callers_limit_arrives_and_the_budget_gives_way() -> None:
    body = written(said(reasoning=ReasoningWish(effort="high"), sampling=Sampling(max_tokens=3000)))
    assert body["inferenceConfig"] == {"maxTokens": 3000}
    assert body["additionalModelRequestFields"]["thinking"]["budget_tokens"] == 2999

    body = written(said(reasoning=ReasoningWish(effort="high"), sampling=Sampling(max_tokens=3000)), NOVA_2)
    assert body["inferenceConfig"] == {"maxTokens": 3000}
    assert body["additionalModelRequestFields"]["reasoningConfig"]["maxReasoningEffort"] == "medium"


@pytest.mark.parametrize(
    "changes",
    [
        {"sampling": Sampling(max_tokens=1000)},
        {"tools": (WEATHER,), "tool_choice": ToolChoice(mode="required")},
        {"messages": (user("?"), assistant(call("one")), user(result("one"))), "tools": (WEATHER,)},
    ],
)
def test_where_claude_cannot_think_it_is_not_asked_to_and_that_is_noted(changes: dict[str, Any]) -> None:
    notes = Notes()
    body = written(replace(said(reasoning=ReasoningWish(budget_tokens=2000)), **changes), notes=notes)
    assert "additionalModelRequestFields" not in body
    assert ("reasoning", "dropped") in noted(notes)


@pytest.mark.parametrize(
    ("model", "sampling", "inference", "dropped"),
    [
        (SONNET, Sampling(temperature=0.5, top_p=0.9), {"temperature": 0.5}, {"top_p"}),
        (OLD, Sampling(temperature=0.5, top_p=0.9), {"temperature": 0.5, "topP": 0.9}, set()),
        (NEWEST, Sampling(temperature=0.5, top_p=0.9, top_k=5), None, {"temperature", "top_p", "top_k"}),
        (LLAMA, Sampling(temperature=0.5, top_k=5), {"temperature": 0.5}, {"top_k"}),
    ],
)
def test_a_model_gets_the_sampling_that_it_takes(
    model: str, sampling: Sampling, inference: dict[str, Any] | None, dropped: set[str]
) -> None:
    notes = Notes()
    assert written(said(sampling=sampling), model, notes).get("inferenceConfig") == inference
    assert {path for path, what in noted(notes) if what == "dropped"} == dropped


def test_a_temperature_beyond_bedrocks_scale_becomes_its_end() -> None:
    notes = Notes()
    assert written(said(sampling=Sampling(temperature=1.7)), NOVA, notes)["inferenceConfig"] == {"temperature": 1}
    assert noted(notes) == {("temperature", "emulated")}


def test_cache_marks_become_points_after_what_they_mark() -> None:
    notes = Notes()
    body = written(
        said(
            user(Text(text="long", cache=CacheMark(), at="messages[0].content[0]"), "short"),
            system=(Text(text="rules", cache=CacheMark(ttl="1h"), at="system[0]"),),
            tools=(replace(WEATHER, cache=CacheMark()),),
        ),
        notes=notes,
    )
    assert body["system"] == [{"text": "rules"}, {"cachePoint": {"type": "default", "ttl": "1h"}}]
    assert body["toolConfig"]["tools"][1] == {"cachePoint": {"type": "default"}}
    assert body["messages"][0]["content"] == [{"text": "long"}, {"cachePoint": {"type": "default"}}, {"text": "short"}]
    assert not notes.all


def test_cache_marks_that_a_model_cannot_have_are_noted() -> None:
    marked = said(
        user(Text(text="long", cache=CacheMark(ttl="1h"), at="messages[0].content[0]")),
        tools=(replace(WEATHER, cache=CacheMark()),),
    )
    notes = Notes()
    body = written(marked, NOVA, notes)
    assert body["messages"][0]["content"][1] == {"cachePoint": {"type": "default"}}
    assert noted(notes) == {
        ("tools[0].cache_control", "dropped"),
        ("messages[0].content[0].cache_control", "emulated"),
    }

    notes = Notes()
    assert "cachePoint" not in str(written(marked, LLAMA, notes))
    assert {what for _, what in noted(notes)} == {"dropped"}


def test_a_fifth_cache_mark_is_dropped_and_noted() -> None:
    texts = [Text(text=str(n), cache=CacheMark(), at=f"messages[0].content[{n}]") for n in range(5)]
    notes = Notes()
    body = written(said(user(*texts)), notes=notes)
    assert sum("cachePoint" in block for block in body["messages"][0]["content"]) == 4
    assert noted(notes) == {("messages[0].content[4].cache_control", "dropped")}


def test_a_schema_is_promised_by_the_models_that_can_and_its_objects_are_closed() -> None:
    schema = Raw(b'{"type":"object","properties":{"a":{"type":"object","properties":{"b":{"type":"string"}}}}}')
    notes = Notes()
    body = written(said(output=OutputFormat(mode="json_schema", name="thing", schema=schema)), notes=notes)
    told = body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
    assert told["name"] == "thing"
    closed = msgspec.json.decode(told["schema"])
    assert closed["additionalProperties"] is closed["properties"]["a"]["additionalProperties"] is False
    assert noted(notes) == {("output", "emulated")}


def test_a_property_that_is_called_like_a_word_of_schemas_is_closed_too() -> None:
    inner = {"type": "object", "properties": {"a": {"type": "string"}}}
    schema = {"type": "object", "properties": {"enum": inner, "type": {"enum": [inner]}}, "additionalProperties": False}
    output = OutputFormat(mode="json_schema", schema=Raw(msgspec.json.encode(schema)))
    told = written(said(output=output))["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"]
    assert msgspec.json.decode(told)["properties"] == {
        "enum": {**inner, "additionalProperties": False},
        "type": {"enum": [inner]},
    }


@pytest.mark.parametrize("parameters", [b"{}", b'{"properties":{"city":{"type":"string"}}}', b"null"])
def test_what_a_tool_takes_is_said_to_be_an_object(parameters: bytes) -> None:
    body = written(said(tools=(replace(WEATHER, parameters=Raw(parameters)),)))
    assert body["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"]["type"] == "object"


def test_names_of_speakers_and_how_closely_to_look_are_noted() -> None:
    notes = Notes()
    picture = Image(source=Source(data=PNG, media_type="image/png"), detail="low", at="messages[0].content[0]")
    written(said(replace(user(picture), name="ada", at="messages[0]")), notes=notes)
    assert noted(notes) == {("messages[0].name", "dropped"), ("messages[0].content[0].detail", "dropped")}


def test_json_without_a_schema_is_asked_for_in_words() -> None:
    notes = Notes()
    body = written(said(output=OutputFormat(mode="json")), notes=notes)
    assert "JSON object" in body["system"][0]["text"]
    assert noted(notes) == {("output", "emulated")}


@pytest.mark.parametrize(
    ("tier", "expected", "dropped"),
    [("flex", {"type": "flex"}, False), ("auto", None, False), ("scale", None, True)],
)
def test_a_service_tier_is_told_where_bedrock_has_it(tier: str, expected: Any, dropped: bool) -> None:
    notes = Notes()
    assert written(said(service_tier=tier), notes=notes).get("serviceTier") == expected
    assert noted(notes) == ({("service_tier", "dropped")} if dropped else set())


def test_everything_that_converse_has_no_field_for_is_noted() -> None:
    notes = Notes()
    sampling = Sampling(seed=1, n=2, presence_penalty=0.5, frequency_penalty=0.5, logprobs=3, logit_bias=Raw(b"{}"))
    written(
        said(
            sampling=sampling,
            tools=(WEATHER,),
            has_parallel_tools=False,
            verbosity="low",
            modalities=("audio",),
            user="«»",
            places={"has_parallel_tools": "parallel_tool_calls"},
        ),
        notes=notes,
    )
    assert {path for path, what in noted(notes) if what == "dropped"} == {
        *("seed", "n", "presence_penalty", "frequency_penalty", "logprobs", "logit_bias"),
        *("parallel_tool_calls", "verbosity", "modalities", "user"),
    }


def test_an_answer_to_go_on_with_does_not_end_in_white_space() -> None:
    assert written(said(user("Finish:"), assistant("The end is \n")))["messages"][1]["content"] == [
        {"text": "The end is"}
    ]


def test_an_instruction_in_the_middle_becomes_the_users() -> None:
    notes = Notes()
    rule = Message(role="system", parts=(Text(text="Speak French."),), at="messages[1]")
    body = written(said(user("hello"), rule), notes=notes)
    assert body["messages"] == [{"role": "user", "content": [{"text": "hello"}, {"text": "Speak French."}]}]
    assert noted(notes) == {("messages[1]", "emulated")}


def test_a_row_can_change_a_request() -> None:
    def with_guardrail(document: Any) -> None:
        document["guardrailConfig"] = Raw(b'{"guardrailIdentifier":"abc","guardrailVersion":"1"}')

    changed = replace(target(), deviations=(with_guardrail,))
    assert b"guardrailConfig" in converse.write_request(said(), changed, Notes()).content
