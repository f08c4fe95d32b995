"""Usage reports of all served providers, read into the partition; numbers of the transcripts are reckoned by hand."""

from __future__ import annotations

import json
import timeit
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.providers.registry import KINDS
from app.base.usage import MAX_TOKENS_IN, MAX_TOKENS_OUT, NotAPartition, Usage
from app.wire.openai.usage import read_usage, reported_cost_nano, unmapped_keys
from app.wire.rules import ReportedCost, UsageRule

TRANSCRIPTS = Path(__file__).resolve().parents[2] / "transcripts"
OTHER_WIRES = frozenset({"aigne", "anthropic", "bedrock", "google", "ideogram"})
"""Their tests stand with their wires."""
OPENAI = UsageRule(cache_in_input=True, reasoning_in_output=True)
XAI = UsageRule(cache_in_input=True, reasoning_in_output=False)
USD = ReportedCost(path=("cost",), units_per_usd=1)

CHAT, IMAGES, EMBEDDINGS = "chat.completions", "images.generations", "embeddings"

READ = [
    ("openai/chat.json", CHAT, Usage(input=19, output=10)),
    ("openai/chat_stream.sse", CHAT, Usage(input=9, output=1)),
    ("openai/chat_reasoning_cached.json", CHAT, Usage(input=86, cache_read=1920, output=300, reasoning=256)),
    ("openai/chat_cache_write.json", CHAT, Usage(input=93, cache_write_5m=3207, output=5)),
    ("openai/chat_audio.json", CHAT, Usage(input=17, audio_in=100, output=15, audio_out=45)),
    ("openai/embeddings.json", EMBEDDINGS, Usage(input=8)),
    ("openai/image.json", IMAGES, Usage(input=50, output=50)),
    ("openai/transcription_tokens.json", "audio.transcriptions", Usage(input=10, audio_in=4, output=101)),
    ("openai/transcription_duration.json", "audio.transcriptions", Usage(seconds=9)),
    ("openai/speech.sse", "audio.speech", Usage(input=14, audio_out=101)),
    ("deepseek/chat.json", CHAT, Usage(input=16, output=10)),
    ("deepseek/chat_older.json", CHAT, Usage(input=56, cache_read=64, output=3)),
    ("deepseek/chat_stream.sse", CHAT, Usage(input=56, cache_read=64, output=200, reasoning=150)),
    ("ollama/chat.json", CHAT, Usage(input=30, output=6)),
    ("ollama/embeddings.json", EMBEDDINGS, Usage(input=7)),
    ("openrouter/chat_stream.sse", CHAT, Usage(input=44, cache_read=50, cache_write_5m=100, output=2)),
    ("xai/chat_reasoning.json", CHAT, Usage(input=9992, cache_read=128, output=4308, reasoning=2809)),
    ("xai/chat_image_cached.json", CHAT, Usage(input=128, cache_read=896, output=48)),
    ("xai/image.json", IMAGES, Usage()),
    ("doubao/chat.json", CHAT, Usage(input=13, output=64, reasoning=20)),
    ("doubao/embeddings_multimodal.json", "ark.embed", Usage(input=13987)),
    ("doubao/image.json", IMAGES, Usage(output=16384, images=1)),
    ("poe/chat.json", CHAT, Usage(input=12, output=4)),
    (
        "custom/anthropic_behind_a_gateway.json",
        CHAT,
        Usage(input=200, cache_read=500, cache_write_5m=100, cache_write_1h=200, output=10),
    ),
]

BILLED = [
    ("openrouter/chat_stream.sse", 910_500),
    ("xai/chat_reasoning.json", 23_285_600),
    ("xai/chat_image_cached.json", 459_200),
    ("xai/image.json", 20_000_000),
]


def report_of(name: str) -> bytes:
    """The last usage report of a transcript, as its own bytes."""
    content = (TRANSCRIPTS / name).read_bytes()
    lines = [content]
    if name.endswith(".sse"):
        lines = [line[6:] for line in content.splitlines() if line.startswith(b"data: {")]
    found = [msgspec.json.decode(line, type=dict[str, msgspec.Raw]).get("usage") for line in lines]
    return bytes([one for one in found if one is not None][-1])


def test_every_transcript_has_an_expected_usage() -> None:
    files = {str(path.relative_to(TRANSCRIPTS)) for path in TRANSCRIPTS.rglob("*") if path.suffix in (".json", ".sse")}
    own = {name for name in files if name.partition("/")[0] not in OTHER_WIRES and "/response" not in name}
    assert own == {name for name, _, _ in READ}


@pytest.mark.parametrize(("name", "endpoint", "expected"), READ, ids=[name for name, _, _ in READ])
def test_a_provider_s_report_becomes_disjoint_meters(name: str, endpoint: str, expected: Usage) -> None:
    rule = KINDS[name.partition("/")[0]].usage
    usage = read_usage(report_of(name), rule, endpoint)
    assert usage == expected
    assert usage.checked() is usage


@pytest.mark.parametrize("name", [name for name, _, _ in READ])
def test_pain_P05_no_number_of_a_report_is_unknown(name: str) -> None:
    assert unmapped_keys(report_of(name)) == []


def test_pain_P05_a_new_number_is_noticed_at_any_depth() -> None:
    report = b'{"points":3,"is_byok":true,"note":"x","prompt_tokens_details":{"new_tokens":2.5,"a":{"b":1}}}'
    assert unmapped_keys(report) == ["points", "prompt_tokens_details.a.b", "prompt_tokens_details.new_tokens"]


def test_pain_P02_cached_tokens_are_counted_once_under_either_rule() -> None:
    report = b'{"prompt_tokens":100,"prompt_tokens_details":{"cached_tokens":80,"cache_write_tokens":15}}'
    included = read_usage(report, OPENAI, CHAT)
    assert (included.input, included.cache_read, included.cache_write_5m, included.input_total) == (5, 80, 15, 100)
    beside = read_usage(report, UsageRule(cache_in_input=False, reasoning_in_output=True), CHAT)
    assert (beside.input, beside.cache_read, beside.cache_write_5m, beside.input_total) == (100, 80, 15, 195)


def test_pain_P02_a_rule_has_no_defaults() -> None:
    with pytest.raises(TypeError):
        UsageRule()  # type: ignore[call-arg]


def test_pain_P03_cached_pictures_and_sound_are_not_charged_twice() -> None:
    # 768 tokens of the prompt are pictures and 896 were cached: they overlap, the whole stays 1024.
    assert read_usage(report_of("xai/chat_image_cached.json"), XAI, CHAT).input_total == 1024
    heard = (
        b'{"prompt_tokens":100,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":70,"audio_tokens":50}}'
    )
    usage = read_usage(heard, OPENAI, CHAT)
    assert (usage.cache_read, usage.audio_in, usage.input, usage.input_total) == (70, 30, 0, 100)


@pytest.mark.parametrize(("name", "nano_usd"), BILLED)
def test_pain_P03_the_provider_s_own_bill_is_read_exactly(name: str, nano_usd: int) -> None:
    where = KINDS[name.partition("/")[0]].reported_cost
    assert where is not None
    assert reported_cost_nano(report_of(name), where) == nano_usd


def test_pain_P06_hour_long_cache_writes_have_their_own_meter() -> None:
    report = b"""{"prompt_tokens":500,"completion_tokens":1,"cache_creation_input_tokens":300,
        "cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":300}}"""
    usage = read_usage(report, OPENAI, CHAT)
    assert (usage.input, usage.cache_write_5m, usage.cache_write_1h) == (200, 0, 300)


@pytest.mark.parametrize(
    ("report", "cached"),
    [
        (b'{"prompt_tokens":9,"prompt_cache_hit_tokens":4}', 4),
        (b'{"prompt_tokens":9,"prompt_cache_hit_tokens":4,"prompt_tokens_details":{"cached_tokens":0}}', 4),
        (b'{"prompt_tokens":9,"prompt_cache_hit_tokens":0,"prompt_tokens_details":{"cached_tokens":4}}', 4),
        (b'{"prompt_tokens":9,"prompt_cache_hit_tokens":4,"prompt_tokens_details":{"cached_tokens":4}}', 4),
        (b'{"prompt_tokens":9,"prompt_cache_hit_tokens":0,"prompt_tokens_details":null}', 0),
        (b'{"prompt_tokens":9,"cached_tokens":4}', 4),
        (b'{"prompt_tokens":9}', 0),
    ],
)
def test_pain_P07_a_new_field_of_zero_does_not_undo_an_old_one(report: bytes, cached: int) -> None:
    assert read_usage(report, OPENAI, CHAT).cache_read == cached


def test_pain_P07_zero_and_absent_are_different() -> None:
    assert read_usage(b'{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}', OPENAI, CHAT) == Usage()
    for absent in (b"{}", b"null", b'{"prompt_tokens":null,"completion_tokens":null}', b'{"completion_tokens":3}'):
        with pytest.raises(NotAPartition):
            read_usage(absent, OPENAI, CHAT)


@pytest.mark.parametrize(
    "value", ["-1", "-1000", "1e3", "1.0", "0.5", "true", '"12"', "[]", "{}", "1000000001", str(10**17), "NaN"]
)
@pytest.mark.parametrize("field", ["prompt_tokens", "completion_tokens", "total_tokens"])
def test_pain_P08_what_is_no_count_refuses_the_report(field: str, value: str) -> None:
    counts = {"prompt_tokens": "5", "completion_tokens": "5", "total_tokens": "10", field: value}
    report = "{" + ",".join(f'"{name}":{one}' for name, one in counts.items()) + "}"
    with pytest.raises(NotAPartition):
        read_usage(report.encode(), OPENAI, CHAT)


@pytest.mark.parametrize(
    "report",
    [
        {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 6}},
        {
            "prompt_tokens": 5,
            "completion_tokens": 1,
            "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 3},
        },
        {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"audio_tokens": 6}},
        {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"audio_tokens": -1}},
        {"prompt_tokens": 5, "completion_tokens": 1, "completion_tokens_details": {"reasoning_tokens": 2}},
        {"prompt_tokens": 5, "completion_tokens": 1, "completion_tokens_details": {"audio_tokens": 2}},
        {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 7},
        {"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 2, "cached_tokens": 3},
        {"prompt_tokens": 9, "cache_creation_input_tokens": 5, "cache_creation": {"ephemeral_5m_input_tokens": 4}},
    ],
)
def test_parts_that_contradict_their_whole_refuse_the_report(report: dict[str, Any]) -> None:
    with pytest.raises(NotAPartition):
        read_usage(json.dumps(report).encode(), OPENAI, CHAT)


@pytest.mark.parametrize("rule", [OPENAI, XAI])
def test_a_total_tells_whether_reasoning_is_inside(rule: UsageRule) -> None:
    details = '"completion_tokens_details":{"reasoning_tokens":4}'
    inside = read_usage(f'{{"prompt_tokens":1,"completion_tokens":9,"total_tokens":10,{details}}}'.encode(), rule, CHAT)
    beside = read_usage(f'{{"prompt_tokens":1,"completion_tokens":9,"total_tokens":14,{details}}}'.encode(), rule, CHAT)
    assert (inside.output, inside.reasoning) == (9, 4)
    assert (beside.output, beside.reasoning) == (13, 4)


def test_without_a_total_the_provider_s_rule_says_where_reasoning_is() -> None:
    report = b'{"prompt_tokens":1,"completion_tokens":9,"completion_tokens_details":{"reasoning_tokens":4}}'
    assert read_usage(report, OPENAI, CHAT).output == 9
    assert read_usage(report, XAI, CHAT).output == 13


@pytest.mark.parametrize(("seconds", "whole"), [("0", 0), ("8.47", 9), ("9", 9), ("0.0001", 1)])
def test_a_begun_second_of_sound_counts_whole(seconds: str, whole: int) -> None:
    report = f'{{"type":"duration","seconds":{seconds}}}'.encode()
    assert read_usage(report, OPENAI, "audio.transcriptions") == Usage(seconds=whole)


@pytest.mark.parametrize(
    "report", [b'{"seconds":-1}', b'{"seconds":1e99}', b'{"type":"duration"}', b'{"input_tokens":1}']
)
def test_sound_without_a_usable_count_refuses_the_report(report: bytes) -> None:
    with pytest.raises(NotAPartition):
        read_usage(report, OPENAI, "audio.transcriptions")


@given(
    fresh=st.integers(0, MAX_TOKENS_IN // 8),
    cached=st.integers(0, MAX_TOKENS_IN // 8),
    written=st.integers(0, MAX_TOKENS_IN // 8),
    audio=st.integers(0, MAX_TOKENS_IN // 8),
    spoken=st.integers(0, MAX_TOKENS_OUT // 8),
    reasoning=st.integers(0, MAX_TOKENS_OUT // 8),
    is_beside=st.booleans(),
)
def test_the_meters_of_any_consistent_report_add_up_to_its_total(
    fresh: int, cached: int, written: int, audio: int, spoken: int, reasoning: int, is_beside: bool
) -> None:
    prompt = fresh + cached + written + audio
    report = {
        "prompt_tokens": prompt,
        "completion_tokens": spoken if is_beside else spoken + reasoning,
        "total_tokens": prompt + spoken + reasoning,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written, "audio_tokens": audio},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    usage = read_usage(json.dumps(report).encode(), XAI if is_beside else OPENAI, CHAT)
    assert usage.checked().input_total == prompt
    assert (usage.input, usage.cache_read, usage.cache_write_5m, usage.audio_in) == (fresh, cached, written, audio)
    assert (usage.output, usage.reasoning) == (spoken + reasoning, reasoning)


@pytest.mark.parametrize(
    ("text", "nano_usd"),
    [
        ("0.0001", 100_000),
        ("9.5e-06", 9_500),
        ("0", 0),
        # Between two nano-dollars: half to even.
        ("0.0000000005", 0),
        ("0.0000000015", 2),
        # As a float this is 0.07999999999999999.
        ("0.08", 80_000_000),
        ("1.0000000001", 1_000_000_000),
    ],
)
def test_a_reported_cost_never_becomes_a_float(text: str, nano_usd: int) -> None:
    assert reported_cost_nano(f'{{"cost":{text}}}'.encode(), USD) == nano_usd


@pytest.mark.parametrize(
    "report",
    ['"1"', "-1", "null", "true", "{}", "[]", "", "1e999999999", "-1e999999999", "100001", "NaN"],
)
def test_a_cost_that_cannot_be_true_is_none(report: str) -> None:
    assert reported_cost_nano(f'{{"cost":{report}}}'.encode(), USD) is None
    assert reported_cost_nano(report.encode(), USD) is None


def test_a_cost_may_stand_deeper_below_usage() -> None:
    where = ReportedCost(path=("cost_details", "upstream_inference_cost"), units_per_usd=100)
    assert reported_cost_nano(b'{"cost_details":{"upstream_inference_cost":25}}', where) == 250_000_000
    assert reported_cost_nano(b'{"cost_details":null}', where) is None


def test_reading_a_usual_report_takes_microseconds() -> None:
    report = report_of("openai/chat.json")
    best = min(timeit.repeat(lambda: read_usage(report, OPENAI, CHAT), number=2_000, repeat=5)) / 2_000
    # 2.4 µs where it was written; the bound leaves room for a slow machine, not for another way of reading.
    assert best < 25e-6
