"""Anthropic's reports as our partition; numbers of the transcripts are reckoned by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic.types import MessageDeltaUsage
from anthropic.types import Usage as TheirUsage
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from app.adapters.providers.registry import KINDS
from app.base.usage import MAX_UNITS, NotAPartition, OutputUncounted, Usage
from app.wire.anthropic import passing, usage
from app.wire.rules import UsageRule
from tests.wire.anthropic.messages import TRANSCRIPTS, request_of, transcript

RULE = KINDS["anthropic"].usage

READ = [
    ("message.json", Usage(input=12, output=6)),
    (
        "message_cached.json",
        Usage(input=50, cache_read=100_000, cache_write_5m=148, cache_write_1h=100, output=503),
    ),
    ("message_older_cache.json", Usage(input=21, cache_write_5m=188_086, output=393)),
    ("message_thinking_tools.json", Usage(input=472, output=189, reasoning=64)),
    ("message_web_search.json", Usage(input=6039, output=931, web_searches=1)),
    ("refusal.json", Usage(input=564, output=22)),
    ("stream.sse", Usage(input=472, cache_read=40, cache_write_1h=300, output=89, reasoning=17)),
    ("stream_older.sse", Usage(input=25, output=15)),
]


def _read(report: Any, rule: UsageRule = RULE) -> Usage:
    return usage.read_usage(json.dumps(report).encode(), rule, "messages")


def _report(name: str) -> Raw:
    if name.endswith(".sse"):
        request = request_of({"model": "m", "max_tokens": 5, "stream": True, "messages": []} | {"messages": [1]})
        tap = passing.follow(request, None)  # type: ignore[arg-type]
        tap.feed(transcript(name))
        found = tap.usage
    else:
        found = passing.read_facts(transcript(name)).usage
    assert found is not None
    return found


@pytest.mark.parametrize(("name", "expected"), READ)
def test_pain_P02_each_recorded_answer_becomes_the_partition_reckoned_by_hand(name: str, expected: Usage) -> None:
    found = usage.read_usage(_report(name), RULE, "messages")
    assert found == expected
    assert found.checked() is found


def test_a_stream_that_broke_off_has_counted_only_what_went_in() -> None:
    opening = {"input_tokens": 50, "cache_read_input_tokens": 7, "cache_creation_input_tokens": 3, "output_tokens": 1}
    start = {"type": "message_start", "message": {"id": "msg_1", "usage": opening}}
    said = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a long story"}}
    tap = passing.follow(request_of({"model": "m", "max_tokens": 5, "stream": True, "messages": [1]}), None)  # type: ignore[arg-type]
    tap.feed(b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in (start, said)))
    assert tap.usage is not None

    with pytest.raises(OutputUncounted) as caught:
        usage.read_usage(tap.usage, RULE, "messages")

    assert caught.value.known == Usage(input=50, cache_read=7, cache_write_5m=3)


def test_every_transcript_has_an_expected_usage_or_is_an_error() -> None:
    files = {path.name for path in TRANSCRIPTS.iterdir()}
    assert files == {name for name, _ in READ} | {"error.json", "stream_error.sse"}


@pytest.mark.parametrize("name", [name for name, _ in READ])
def test_pain_P05_no_number_of_a_recorded_report_is_overlooked(name: str) -> None:
    assert usage.unmapped_keys(_report(name)) == []


@pytest.mark.parametrize("theirs", [TheirUsage, MessageDeltaUsage])
def test_pain_P05_no_number_of_the_librarys_own_types_is_overlooked(theirs: Any) -> None:
    counts = {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 1}
    nested = {
        "cache_creation": counts,
        "output_tokens_details": {"thinking_tokens": 1},
        "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 1},
    }
    words = {"inference_geo": "eu", "service_tier": "standard", "speed": "fast"}
    report = {name: nested.get(name, words.get(name, 1)) for name in theirs.model_fields}

    assert usage.unmapped_keys(json.dumps(report).encode()) == []
    more = {**report, "iterations": 2, "server_tool_use": {"code_execution_requests": 1}}
    assert usage.unmapped_keys(json.dumps(more).encode()) == ["iterations", "server_tool_use.code_execution_requests"]


def test_pain_P06_hour_long_writes_have_their_own_meter_and_a_sum_alone_is_of_five_minutes() -> None:
    counts = {"input_tokens": 1, "output_tokens": 1, "cache_creation_input_tokens": 300}
    split = {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200}
    found = _read({**counts, "cache_creation": split})
    assert (found.cache_write_5m, found.cache_write_1h) == (100, 200)
    assert _read(counts).cache_write_5m == 300


def test_pain_P07_a_new_field_of_zero_does_not_undo_an_old_one() -> None:
    counts = {"input_tokens": 1, "output_tokens": 1}
    split = {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 7}
    assert _read({**counts, "cache_creation_input_tokens": 0, "cache_creation": split}).cache_write_1h == 7
    empty = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}
    assert _read({**counts, "cache_creation_input_tokens": 9, "cache_creation": empty}).cache_write_5m == 9


def test_a_later_report_counts_and_its_nulls_do_not() -> None:
    first = Raw(b'{"input_tokens":10,"output_tokens":1,"cache_read_input_tokens":5,"cache_creation":{"a":1}}')
    last = Raw(b'{"output_tokens":40,"input_tokens":null,"cache_read_input_tokens":6}')
    merged = usage.merged(first, last)
    assert merged is not None
    assert json.loads(bytes(merged)) == {
        "input_tokens": 10,
        "output_tokens": 40,
        "cache_read_input_tokens": 6,
        "cache_creation": {"a": 1},
    }
    assert usage.merged(None, last) is last
    assert usage.merged(first, None) is first


@pytest.mark.parametrize(
    "report",
    [
        {},
        {"input_tokens": 5},
        {"input_tokens": -1, "output_tokens": 1},
        {"input_tokens": MAX_UNITS + 1, "output_tokens": 1},
        {"input_tokens": "12", "output_tokens": 1},
        {"input_tokens": 1.5, "output_tokens": 1},
        {"input_tokens": 1, "output_tokens": 5, "output_tokens_details": {"thinking_tokens": 6}},
        {
            "input_tokens": 1,
            "output_tokens": 1,
            "cache_creation_input_tokens": 5,
            "cache_creation": {"ephemeral_5m_input_tokens": 9},
        },
        [],
        None,
    ],
)
def test_pain_P08_what_cannot_be_true_is_refused(report: Any) -> None:
    with pytest.raises(NotAPartition):
        _read(report)


def test_pain_P02_a_provider_that_counts_the_cache_inside_says_so_in_its_rule() -> None:
    report = {"input_tokens": 100, "output_tokens": 10, "cache_read_input_tokens": 80}
    report["output_tokens_details"] = {"thinking_tokens": 4}  # type: ignore[assignment]
    other = UsageRule(cache_in_input=True, reasoning_in_output=False)
    assert _read(report, other) == Usage(input=20, cache_read=80, output=14, reasoning=4)
    with pytest.raises(NotAPartition):
        _read({**report, "cache_read_input_tokens": 101}, other)


@given(st.recursive(st.one_of(st.none(), st.integers(), st.floats(), st.text()), st.lists, max_leaves=4))
def test_any_value_in_any_field_is_read_or_refused(value: Any) -> None:
    for name in ("input_tokens", "cache_creation", "server_tool_use", "output_tokens_details"):
        try:
            found = _read({"input_tokens": 1, "output_tokens": 1, name: value})
        except (NotAPartition, ValueError):
            continue
        assert found.checked() is found


counts = st.integers(0, 10_000)


@given(counts, counts, counts, counts, counts, counts)
def test_a_partition_survives_being_told_to_a_client(
    fresh: int, read: int, short: int, long: int, output: int, searches: int
) -> None:
    told = Usage(
        input=fresh, cache_read=read, cache_write_5m=short, cache_write_1h=long, output=output, web_searches=searches
    )
    entry = usage.entry(told)
    TheirUsage.model_validate(entry, strict=True)
    assert _read(entry) == told
