"""Price bundles: what is one, whose rows are a deployment's, and what the shipped one has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.adapters.providers.registry import KINDS
from app.base.errors import BadValue
from app.domain.catalog import bundle
from tests.domain.catalog.bundles import ROW, bundle_of, raw


def test_a_bundle_is_read_with_what_it_leaves_out() -> None:
    one, two = bundle_of({}, {"condition": {"until": "00:30", "from": "16:30"}, "review_cost_nano": 2_000_000_000}).rows

    assert (one.condition, one.review_cost_nano, one.valid_from, one.source_url) == ({}, None, None, None)
    assert one.key == ("input", "{}")
    assert two.key == ("input", '{"from":"16:30","until":"00:30"}')
    assert bundle_of({}).rate_source == "prices 2026-11-20"


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"meter": "tokens"}, "tokens"),
        ({"meter": "reasoning"}, "reasoning"),
        ({"per_units": 1}, "per_units of input is 1000000"),
        ({"meter": "images"}, "per_units of images is 1"),
        ({"cost_nano": -1}, "cost_nano"),
        ({"cost_nano": 2**63}, "cost_nano"),
        ({"cost_nano": 0.5}, "cost_nano"),
        ({"cost_nano": "1"}, "cost_nano"),
        ({"cost_nano": None}, "cost_nano"),
        ({"review_cost_nano": 999_999_999}, "review_cost_nano"),
        ({"source": "somebody"}, "somebody"),
        ({"condition": {"weekday": "monday"}}, "weekday"),
        ({"condition": {"input_over": "200000"}}, "input_over"),
        ({"condition": {"from": "16:30"}}, "until"),
        ({"condition": {"from": "16:30", "until": "24:00"}}, "until"),
        ({"condition": []}, "condition"),
        ({"valid_from": "soon"}, "valid_from"),
        ({"price_nano": 1}, "price_nano"),
        ({"model": ""}, "model"),
    ],
)
def test_a_row_that_cannot_be_is_named(row: dict[str, Any], what: str) -> None:
    with pytest.raises(BadValue) as refused:
        bundle_of({"model": "gpt-8"}, row)
    assert refused.value.sentence.startswith("Row 2")
    assert what in refused.value.sentence


def test_the_sentence_about_a_row_says_whose_it_is() -> None:
    with pytest.raises(BadValue, match=r"Row 2 \(openai gpt-9\) of the price bundle: there is a row for the same"):
        bundle_of(
            {"condition": {"from": "01:00", "until": "02:00"}}, {"condition": {"until": "02:00", "from": "01:00"}}
        )


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "no price bundle"),
        (b"\xff{", "no price bundle"),
        (b"[]", "no price bundle"),
        (raw(format=2), "format 2"),
        (raw(version="yesterday"), "yesterday"),
        (raw(version="2026-02-30"), "2026-02-30"),
        (raw(sources=[{"name": "table"}]), "version"),
        (raw(note="hello"), "note"),
        (b" " * (bundle.MAX_BYTES + 1), "at most"),
    ],
)
def test_what_is_no_bundle_is_refused(content: bytes, what: str) -> None:
    with pytest.raises(BadValue, match=what):
        bundle.parse(content)


@pytest.mark.parametrize(
    ("kind", "listed", "called"),
    [
        ("openai", "gpt-9", "gpt-9-2026-03-05"),
        ("openai", "gpt-9-latest", "gpt-9-2026-03-05"),
        ("openai", "gpt-9", "gpt-9-latest"),
        ("anthropic", "claude-9", "claude-9-20260305"),
        ("anthropic", "claude-9", "claude-9@20260305"),
        ("google", "gemini-9", "models/gemini-9"),
        ("doubao", "doubao-9", "doubao-9-260305"),
        ("poe", "claude-9", "Claude-9"),
        ("poe", "claude-9", "anthropic/Claude-9"),
        ("bedrock", "anthropic.claude-9", "eu.anthropic.claude-9"),
        ("bedrock", "anthropic.claude-9", "global.anthropic.claude-9-20260305-v1:0"),
        ("bedrock", "us.anthropic.claude-9", "jp.anthropic.claude-9"),
        ("bedrock", "amazon.nova-9-v1", "amazon.nova-9-v1"),
        ("ollama", "*", "llama9:70b"),
    ],
)
def test_a_model_is_found_under_what_else_it_is_called(kind: str, listed: str, called: str) -> None:
    found = bundle_of({"kind": kind, "model": listed})
    assert [row.model for row in found.match(kind, called)] == [listed]


@pytest.mark.parametrize(
    ("kind", "listed", "called"),
    [
        ("openai", "gpt-9", "gpt-9-mini"),
        ("openai", "gpt-9-mini", "gpt-9"),
        ("openai", "gpt-9-2026-03-05", "gpt-9"),
        ("openai", "gpt-9", "models/gpt-9"),
        ("openai", "gpt-9", "GPT-9"),
        ("openrouter", "openai/gpt-9", "gpt-9"),
        ("anthropic", "claude-9", "claude-9-123456789"),
        # What is served from anywhere is cheaper than what is served from one region.
        ("bedrock", "global.anthropic.claude-9", "eu.anthropic.claude-9"),
        ("bedrock", "*", "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/anthropic.claude-9"),
    ],
)
def test_another_model_is_not_taken_for_it(kind: str, listed: str, called: str) -> None:
    assert not bundle_of({"kind": kind, "model": listed}).match(kind, called)


def test_the_closest_name_counts() -> None:
    rows = bundle_of(
        {"kind": "bedrock", "model": "anthropic.claude-9"},
        {"kind": "bedrock", "model": "eu.anthropic.claude-9"},
        {"kind": "bedrock", "model": "*"},
    )
    assert [row.model for row in rows.match("bedrock", "eu.anthropic.claude-9-v1:0")] == ["eu.anthropic.claude-9"]
    assert [row.model for row in rows.match("bedrock", "au.anthropic.claude-9-v1:0")] == ["anthropic.claude-9"]
    assert [row.model for row in rows.match("bedrock", "amazon.nova-9-v1:0")] == ["*"]
    assert not rows.match("openai", "anthropic.claude-9")


def test_the_shipped_bundle_has_every_kind_with_a_price_list_and_names_its_sources() -> None:
    shipped = bundle.shipped()

    assert {row.kind for row in shipped.rows} == set(KINDS) - {"custom", "demo", "ideogram"}
    assert {row.source for row in shipped.rows} == {source.name for source in shipped.sources}
    assert all(source.url.startswith("https://") and source.version != "unknown" for source in shipped.sources)
    licenses = (Path(bundle.__file__).parent / "price_bundle" / "LICENSES.txt").read_text()
    assert all(source.name in licenses for source in shipped.sources if source.license == "MIT")
    assert {row.cost_nano for row in shipped.match("ollama", "whatever:8b")} == {0}
    # A cost of nothing is said by who can know it.
    free = {(row.kind, row.source) for row in shipped.rows if row.cost_nano == 0 and not row.model.endswith(":free")}
    assert {source for _, source in free} <= {"hub", "genai-prices"}


def test_the_shipped_bundle_prices_the_models_that_the_hub_suggests() -> None:
    shipped = bundle.shipped()
    by_kind = {
        kind.name: {model for model, _ in kind.starter_models if not shipped.match(kind.name, model)}
        for kind in KINDS.values()
    }
    # No table has these.
    assert {name: missing for name, missing in by_kind.items() if missing and name not in ("demo", "ideogram")} == {
        "openrouter": {"openai/text-embedding-3-small"},
        "doubao": {"doubao-seedream-5-0-260128"},
    }
    for kind in ("openai", "anthropic", "google", "xai", "deepseek", "poe", "doubao"):
        model = next(model for model, type in KINDS[kind].starter_models if type == "chat")
        lines = {row.meter: row.cost_nano for row in shipped.match(kind, model) if not row.condition}
        assert 0 < lines["cache_read"] < lines["input"] < lines["output"], (kind, model)


def test_the_sample_row_of_the_tests_is_a_row_of_a_bundle() -> None:
    assert bundle_of(ROW).match("openai", "gpt-9")
