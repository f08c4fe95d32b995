"""Bedrock's reports as our partition; numbers of the transcripts are reckoned by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.providers.registry import KINDS
from app.base.usage import NotAPartition, Usage
from app.wire.bedrock import usage
from app.wire.rules import UsageRule
from tests.emulators.bedrock import oracle

TRANSCRIPTS = Path(__file__).resolve().parents[2] / "transcripts" / "bedrock"
RULE = KINDS["bedrock"].usage


def _read(report: Any, endpoint: str = "converse", rule: UsageRule = RULE) -> Usage:
    return usage.read_usage(json.dumps(report).encode(), rule, endpoint)


@pytest.mark.parametrize(
    ("name", "endpoint", "expected"),
    [
        ("converse.json", "converse", Usage(input=30, output=628)),
        ("converse_tool.json", "converse", Usage(input=388, output=58)),
        (
            "converse_cache.json",
            "converse",
            Usage(input=41, output=9, cache_read=1000, cache_write_5m=500, cache_write_1h=2000),
        ),
        ("titan_embed.json", "bedrock.embed", Usage(input=5)),
    ],
)
def test_pain_P02_each_recorded_answer_becomes_the_partition_reckoned_by_hand(
    name: str, endpoint: str, expected: Usage
) -> None:
    answer = json.loads((TRANSCRIPTS / name).read_text())
    report = answer.get("usage", {"inputTextTokenCount": answer.get("inputTextTokenCount")})
    assert _read(report, endpoint) == expected


def test_pain_P05_no_number_of_a_recorded_report_is_overlooked() -> None:
    for path in sorted(TRANSCRIPTS.glob("converse*.json")):
        assert usage.unmapped_keys(json.dumps(json.loads(path.read_text())["usage"]).encode()) == [], path.name


def test_pain_P05_no_number_of_the_services_own_model_is_overlooked() -> None:
    shape = oracle.service("bedrock-runtime").shape_for("TokenUsage")
    report: dict[str, Any] = {name: 1 for name, member in shape.members.items() if member.type_name == "integer"}
    report["cacheDetails"] = [{"ttl": "5m", "inputTokens": 1}]
    assert usage.unmapped_keys(json.dumps(report).encode()) == []
    assert usage.unmapped_keys(json.dumps({**report, "newTokens": 5, "more": {"a": 1}}).encode()) == [
        "more.a",
        "newTokens",
    ]


def test_pain_P06_writes_without_a_time_are_those_of_five_minutes() -> None:
    assert _read({"inputTokens": 1, "outputTokens": 1, "cacheWriteInputTokens": 7}).cache_write_5m == 7


def test_pain_P07_details_stand_for_a_sum_that_is_not_told() -> None:
    report = {"inputTokens": 1, "outputTokens": 1, "cacheDetails": [{"ttl": "1h", "inputTokens": 7}]}
    assert _read(report).cache_write_1h == 7


def test_a_total_may_leave_the_cache_out() -> None:
    assert _read({"inputTokens": 5, "outputTokens": 2, "totalTokens": 7, "cacheReadInputTokens": 90}).cache_read == 90


@pytest.mark.parametrize(
    "report",
    [
        {},
        {"inputTokens": -5, "outputTokens": 1},
        {"inputTokens": "5", "outputTokens": 1},
        {"inputTokens": 5.5, "outputTokens": 1},
        {"inputTokens": 10**17, "outputTokens": 1},
        {"inputTokens": 5, "outputTokens": 1, "totalTokens": 9},
        {
            "inputTokens": 5,
            "outputTokens": 1,
            "cacheWriteInputTokens": 9,
            "cacheDetails": [{"ttl": "5m", "inputTokens": 4}],
        },
        [],
    ],
)
def test_pain_P08_a_report_that_cannot_be_true_is_refused(report: Any) -> None:
    with pytest.raises(NotAPartition):
        _read(report)


def test_vectors_without_a_count_are_not_free() -> None:
    with pytest.raises(NotAPartition):
        _read({}, "bedrock.embed")


_COUNTS = st.integers(0, 10**6)


@given(_COUNTS, _COUNTS, _COUNTS, _COUNTS, _COUNTS)
def test_pain_P01_nothing_is_counted_twice_and_nothing_lost(
    fresh: int, read: int, short: int, long: int, output: int
) -> None:
    details = [{"ttl": "1h", "inputTokens": long}, {"ttl": "5m", "inputTokens": short}]
    report = {
        "inputTokens": fresh,
        "outputTokens": output,
        "totalTokens": fresh + read + short + long + output,
        "cacheReadInputTokens": read,
        "cacheWriteInputTokens": short + long,
        "cacheDetails": details,
    }
    found = _read(report)
    assert found.input_total + found.output == report["totalTokens"]
    assert found == Usage(input=fresh, cache_read=read, cache_write_5m=short, cache_write_1h=long, output=output)
