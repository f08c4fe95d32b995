"""Gemini's usage reports read into the partition; numbers of the transcripts are reckoned by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.providers.registry import KINDS
from app.base.usage import MAX_UNITS, NotAPartition, Usage
from app.wire.gemini import tap
from app.wire.gemini.usage import read_usage, unmapped_keys

TRANSCRIPTS = Path(__file__).resolve().parents[2] / "transcripts" / "google"
RULE = KINDS["google"].usage

READ = [
    ("generate.json", Usage(input=2, output=9)),
    ("generate_cached_thinking.json", Usage(input=153, cache_read=173, output=217, reasoning=154)),
    ("generate_implicit_cache.json", Usage(input=8531, cache_read=3583, output=148)),
    ("generate_tools_signed.json", Usage(input=60, output=150, reasoning=120)),
    ("generate_audio_in.json", Usage(input=4, cache_read=64, audio_in=64, output=4)),
    ("generate_speech.json", Usage(input=10, audio_out=50)),
    ("generate_search.json", Usage(input=13, output=12, reasoning=7, web_searches=2)),
    ("blocked.json", Usage(input=7)),
    ("embeddings.json", Usage(input=6)),
    ("stream.sse", Usage(input=9, output=91, reasoning=84)),
]


def report_of(name: str) -> bytes:
    """What the tap makes of a transcript."""
    content = (TRANSCRIPTS / name).read_bytes()
    if name.endswith(".sse"):
        followed = tap.StreamTap()
        followed.feed(content)
        return bytes(followed.usage or b"")
    return bytes(tap.read_facts(content).usage or b"")


def test_every_transcript_has_an_expected_usage() -> None:
    files = {path.name for path in TRANSCRIPTS.iterdir() if not path.name.startswith("error_")}
    assert files == {name for name, _ in READ}


@pytest.mark.parametrize(("name", "expected"), READ, ids=[name for name, _ in READ])
def test_a_transcript_is_read_as_reckoned(name: str, expected: Usage) -> None:
    assert read_usage(report_of(name), RULE, "generate_content").checked() == expected


@pytest.mark.parametrize("name", [name for name, _ in READ])
def test_pain_P05_no_number_of_a_transcript_is_unknown(name: str) -> None:
    assert unmapped_keys(report_of(name)) == []


def test_pain_P05_a_new_number_is_noticed() -> None:
    report = {
        "promptTokenCount": 1,
        "smellTokenCount": 2,
        "promptTokensDetails": [{"modality": "SMELL", "tokenCount": 2}],
    }

    assert unmapped_keys(json.dumps(report).encode()) == ["promptTokensDetails.SMELL", "smellTokenCount"]


def test_pain_P01_cached_tokens_are_not_counted_twice() -> None:
    report = b'{"promptTokenCount":5000,"cachedContentTokenCount":4000,"candidatesTokenCount":10}'

    usage = read_usage(report, RULE, "generate_content")

    assert (usage.input, usage.cache_read, usage.input_total) == (1000, 4000, 5000)


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (25, Usage(input=13, output=12, reasoning=7)),
        # What a tool put into the prompt stands inside of it.
        (22, Usage(input=10, output=12, reasoning=7)),
    ],
)
def test_the_total_tells_where_a_tools_tokens_are(total: int, expected: Usage) -> None:
    counts = {"promptTokenCount": 10, "toolUsePromptTokenCount": 3, "candidatesTokenCount": 5, "thoughtsTokenCount": 7}

    report = json.dumps({**counts, "totalTokenCount": total}).encode()

    assert read_usage(report, RULE, "generate_content") == expected


def test_the_total_tells_when_thoughts_are_inside_the_answer() -> None:
    report = b'{"promptTokenCount":10,"candidatesTokenCount":9,"thoughtsTokenCount":7,"totalTokenCount":19}'

    assert read_usage(report, RULE, "generate_content") == Usage(input=10, output=9, reasoning=7)


@pytest.mark.parametrize(
    "report",
    [
        {},
        {"promptTokenCount": -1},
        {"promptTokenCount": "12"},
        {"promptTokenCount": 1.5},
        {"promptTokenCount": MAX_UNITS + 1},
        {"promptTokenCount": 10, "cachedContentTokenCount": 11},
        {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 99},
        {"promptTokenCount": 1, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 5}]},
        {
            "promptTokenCount": 1,
            "candidatesTokenCount": 1,
            "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 5}],
        },
        [],
    ],
)
def test_pain_P08_what_cannot_be_true_is_refused(report: Any) -> None:
    with pytest.raises(NotAPartition):
        read_usage(json.dumps(report).encode(), RULE, "generate_content")


_counts = st.one_of(st.none(), st.integers(-5, 2_000_000))


_names = ("promptTokenCount", "cachedContentTokenCount", "candidatesTokenCount", "thoughtsTokenCount")
_more = ("toolUsePromptTokenCount", "totalTokenCount", "webSearchQueries")


@given(st.fixed_dictionaries(dict.fromkeys((*_names, *_more), _counts)))
def test_any_report_is_a_partition_or_refused(report: dict[str, Any]) -> None:
    try:
        usage = read_usage(msgspec.json.encode(report), RULE, "generate_content")
    except NotAPartition:
        return
    usage.checked()
    told = report["totalTokenCount"]
    assert not told or usage.input_total + usage.output + usage.audio_out == told


@given(st.binary(max_size=60))
def test_no_bytes_bring_it_down(report: bytes) -> None:
    try:
        read_usage(report, RULE, "generate_content")
    except NotAPartition:
        return
