"""Usage of the Responses API, read into the partition; numbers of the transcripts are reckoned by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from app.base.usage import NotAPartition, Usage
from app.wire.openai.usage import reported_cost_nano
from app.wire.responses import usage
from app.wire.responses.tap import read_facts
from app.wire.rules import ReportedCost, UsageRule

TRANSCRIPTS = Path(__file__).resolve().parents[2] / "transcripts"
LIKE_OPENAI = UsageRule(cache_in_input=True, reasoning_in_output=True)
LIKE_XAI = UsageRule(cache_in_input=True, reasoning_in_output=False)
ANSWERS = sorted(path.relative_to(TRANSCRIPTS).as_posix() for path in TRANSCRIPTS.glob("*/response*.json"))


def _report(name: str) -> Raw:
    report = read_facts((TRANSCRIPTS / name).read_bytes()).usage
    assert report is not None
    return report


@pytest.mark.parametrize(
    ("name", "rule", "expected"),
    [
        ("openai/response.json", LIKE_OPENAI, Usage(input=36, output=87)),
        (
            "openai/response_reasoning_tools.json",
            LIKE_OPENAI,
            Usage(input=86, cache_read=1920, output=300, reasoning=192),
        ),
        (
            "openai/response_web_search.json",
            LIKE_OPENAI,
            Usage(input=128, cache_write_5m=150, cache_write_1h=50, output=356, web_searches=1),
        ),
        ("openai/response_incomplete.json", LIKE_OPENAI, Usage(input=20, output=16)),
        ("xai/response.json", LIKE_XAI, Usage(input=26, cache_read=6, output=207, reasoning=198)),
        ("openrouter/response.json", LIKE_OPENAI, Usage(input=8, cache_read=4, output=25, reasoning=9)),
    ],
)
def test_each_reported_token_is_counted_once(name: str, rule: UsageRule, expected: Usage) -> None:
    assert usage.read_usage(_report(name), rule, "responses") == expected


@pytest.mark.parametrize("name", ANSWERS)
def test_every_number_of_a_recorded_answer_is_known(name: str) -> None:
    assert usage.unmapped_keys(_report(name)) == []


def test_a_new_number_would_be_noticed() -> None:
    assert usage.unmapped_keys(b'{"input_tokens":1,"input_tokens_details":{"video_tokens":2}}') == [
        "input_tokens_details.video_tokens"
    ]


def test_reasoning_beside_the_output_is_told_by_the_total() -> None:
    report = {"input_tokens": 10, "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 3}}

    beside = usage.read_usage(msgspec.json.encode(report | {"total_tokens": 18}), LIKE_OPENAI, "responses")
    inside = usage.read_usage(msgspec.json.encode(report | {"total_tokens": 15}), LIKE_XAI, "responses")

    assert (beside.output, inside.output) == (8, 5)


@pytest.mark.parametrize(
    "report",
    [
        {},
        {"input_tokens": -1},
        {"input_tokens": "12"},
        {"input_tokens": 1.5},
        {"input_tokens": 10**17},
        {"input_tokens": 5, "input_tokens_details": {"cached_tokens": 6}},
        {"input_tokens": 5, "output_tokens": 1, "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 6},
        {"input_tokens": 5, "output_tokens": 1, "total_tokens": 9},
        {
            "input_tokens": 9,
            "input_tokens_details": {"cache_write_tokens": 5, "cache_write_tokens_details": {"ttl_30m_tokens": 4}},
        },
    ],
)
def test_a_report_that_cannot_be_true_is_refused(report: dict[str, Any]) -> None:
    with pytest.raises(NotAPartition):
        usage.read_usage(msgspec.json.encode(report), LIKE_OPENAI, "responses")


def test_the_bill_of_the_provider_is_found_in_the_report() -> None:
    ticks = ReportedCost(path=("cost_in_usd_ticks",), units_per_usd=10_000_000_000)
    credits_ = ReportedCost(path=("cost",), units_per_usd=1)

    assert reported_cost_nano(_report("xai/response.json"), ticks) == 3_775_600
    assert reported_cost_nano(_report("openrouter/response.json"), credits_) == 1_200_000
