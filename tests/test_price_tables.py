"""`make prices`: public tables in, one price bundle out."""

from __future__ import annotations

import json
import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.domain.catalog import bundle
from app.domain.catalog.bundle import Row
from bench.prices import blocklet, cli, genai, hours, litellm, merge, models_dev
from bench.prices.quotes import Table

DAY = date(2026, 11, 20)

GENAI = """
providers: list[Provider] = [
    Provider(
        id='openai',
        pricing_urls=['https://openai.example/pricing'],
        models=[
            ModelInfo(
                id='gpt-9',
                match=ClauseOr(
                    or_=[ClauseEquals(equals='gpt-9'), ClauseRegex(regex='^gpt-9-\\\\d{4}-\\\\d{2}-\\\\d{2}$')]
                ),
                prices=ModelPrice(
                    input_mtok=TieredPrices(
                        base=Decimal('1.25'), tiers=[Tier(start=272000, price=Decimal('2.5'))]
                    ),
                    output_mtok=Decimal('10'),
                    web_searches_kcount=Decimal('10'),
                ),
                price_variants=[
                    PriceVariant(when={'service_tier': 'flex'}, prices=ModelPrice(output_mtok=Decimal('5'))),
                    PriceVariant(
                        when={'processing': 'batch'},
                        prices=ModelPrice(output_mtok=Decimal('4')),
                        constraint=StartDateConstraint(start_date=date(2027, 1, 1)),
                    ),
                ],
            ),
            ModelInfo(
                id='gpt-old',
                match=ClauseStartsWith(starts_with='gpt-old'),
                prices=[
                    ConditionalPrice(prices=ModelPrice(input_mtok=Decimal('30'))),
                    ConditionalPrice(
                        constraint=StartDateConstraint(start_date=date(2026, 1, 1)),
                        prices=ModelPrice(input_mtok=Decimal('20')),
                    ),
                    ConditionalPrice(
                        constraint=StartDateConstraint(start_date=date(2026, 12, 1)),
                        prices=ModelPrice(input_mtok=Decimal('15')),
                    ),
                ],
            ),
            ModelInfo(
                id='whisper',
                match=ClauseEquals(equals='whisper'),
                prices=ModelPrice(audio_hours=Decimal('0.36'), input_audio_hours=Decimal('0.36')),
            ),
            ModelInfo(
                id='draw',
                match=ClauseEquals(equals='draw'),
                prices=ModelPrice(input_mtok=Decimal('5'), input_image_mtok=Decimal('8'), output_mtok=Decimal('30')),
            ),
        ],
    ),
    Provider(
        id='deepseek',
        models=[
            ModelInfo(
                id='deepseek-flash',
                match=ClauseEquals(equals='deepseek-flash'),
                prices=[
                    ConditionalPrice(prices=ModelPrice(input_mtok=Decimal('0.15'))),
                    ConditionalPrice(
                        constraint=TimeOfDateConstraint(
                            start_time=datetime.time(1, 0, tzinfo=datetime.UTC),
                            end_time=datetime.time(4, 0, tzinfo=datetime.UTC),
                        ),
                        prices=ModelPrice(input_mtok=Decimal('0.3')),
                    ),
                ],
            ),
        ],
    ),
    Provider(
        id='aws',
        models=[
            ModelInfo(
                id='amazon.nova-lite-v1:0',
                match=ClauseContains(contains='amazon.nova-lite'),
                prices=ModelPrice(output_mtok=Decimal('0.24')),
            ),
            ModelInfo(
                id='regional.anthropic.claude-9',
                match=ClauseOr(
                    or_=[ClauseEquals(equals='anthropic.claude-9'), ClauseContains(contains='eu.anthropic.claude-9-v1')]
                ),
                prices=ModelPrice(output_mtok=Decimal('11')),
            ),
        ],
    ),
]
"""


def _genai() -> Table:
    return genai.of_source(GENAI, "0.0.0", DAY)


def _litellm(entries: dict[str, Any]) -> Table:
    return litellm.of_entries(json.loads(json.dumps(entries), parse_float=Decimal), "1.0.0")


def _models_dev(provider: str, models: dict[str, Any]) -> Table:
    document = {provider: {"models": {name: {"cost": cost} for name, cost in models.items()}}}
    return models_dev.of_providers(json.loads(json.dumps(document), parse_float=Decimal), "2026-09-30")


def _openai(**cost: float) -> dict[str, Any]:
    return {"litellm_provider": "openai", "mode": "chat", **cost}


def _of(rows: list[Row], model: str) -> dict[tuple[str, str], Row]:
    return {row.key: row for row in rows if row.model == model and row.valid_from is None}


def test_a_price_is_the_exact_integer_of_what_the_table_says() -> None:
    rows = _of(merge.merge([_genai()]), "gpt-9")

    assert rows["input", "{}"].cost_nano == 1_250_000_000
    assert rows["input", '{"input_over":272000}'].cost_nano == 2_500_000_000
    assert rows["output", '{"service_tier":"flex"}'].cost_nano == 5_000_000_000
    assert (rows["web_searches", "{}"].cost_nano, rows["web_searches", "{}"].per_units) == (10_000_000, 1)
    # 2.3e-08 dollars per token has no exact float per million.
    rows = _of(merge.merge([_litellm({"gpt-8": _openai(input_cost_per_token=2.3e-08)})]), "gpt-8")
    assert rows["input", "{}"].cost_nano == 23_000_000


def test_a_fraction_of_a_nano_is_rounded_up() -> None:
    rows = _of(merge.merge([_litellm({"gpt-8": _openai(input_cost_per_token=1.0000000001e-06)})]), "gpt-8")
    assert rows["input", "{}"].cost_nano == 1_000_000_001


def test_tables_that_differ_by_more_than_a_percent_leave_the_higher_cost_for_review() -> None:
    near = _litellm({"gpt-9": _openai(output_cost_per_token=0.0000101)})
    far = _litellm({"gpt-9": {**_openai(output_cost_per_token=0.00001011), "source": "https://look.example"}})
    cheap = _litellm({"gpt-9": _openai(output_cost_per_token=0.000005)})

    assert _of(merge.merge([_genai(), near]), "gpt-9")["output", "{}"].review_cost_nano is None
    disputed = _of(merge.merge([_genai(), far]), "gpt-9")["output", "{}"]
    assert (disputed.cost_nano, disputed.review_cost_nano) == (10_000_000_000, 10_110_000_000)
    assert (disputed.source, disputed.source_url) == ("genai-prices", "https://openai.example/pricing")
    assert _of(merge.merge([_genai(), cheap]), "gpt-9")["output", "{}"].review_cost_nano == 10_000_000_000


def test_a_zero_of_a_table_that_does_not_know_is_not_shipped_as_free() -> None:
    unknown = _litellm({"gpt-7": _openai(input_cost_per_token=0.0, output_cost_per_token=0)})
    poe = _models_dev("poe", {"google/Gemma-9": {"input": 0, "output": 0}})
    free = _models_dev("openrouter", {"maker/small:free": {"input": 0, "output": 0}})

    rows = merge.merge([unknown, poe, free])

    assert not _of(rows, "gpt-7") and not _of(rows, "gemma-9")
    assert _of(rows, "maker/small:free")["input", "{}"].cost_nano == 0


def test_what_runs_on_ones_own_machine_is_free_and_says_so() -> None:
    rows = _of(merge.merge([_genai()]), "*")
    assert {row.kind for row in rows.values()} == {"ollama"}
    assert {row.cost_nano for row in rows.values()} == {0}


def test_the_price_is_that_of_the_day_and_announced_ones_come_with_theirs() -> None:
    rows = [row for row in merge.merge([_genai()]) if row.model == "gpt-old"]
    assert [(row.cost_nano, row.valid_from) for row in rows] == [
        (20_000_000_000, None),
        (15_000_000_000, date(2026, 12, 1)),
    ]

    earlier = [row for row in merge.merge([genai.of_source(GENAI, "0", date(2025, 6, 1))]) if row.model == "gpt-old"]
    assert [row.valid_from for row in earlier] == [None, date(2026, 1, 1), date(2026, 12, 1)]

    later = [row for row in merge.merge([genai.of_source(GENAI, "0", date(2027, 2, 1))]) if row.model == "gpt-9"]
    assert [row.valid_from for row in later if row.condition == {"service_tier": "batch"}] == [None]


def test_an_announced_price_that_is_the_present_one_is_left_out() -> None:
    source = GENAI.replace("prices=ModelPrice(input_mtok=Decimal('15'))", "prices=ModelPrice(input_mtok=Decimal('20'))")
    assert source != GENAI

    rows = [row for row in merge.merge([genai.of_source(source, "0", DAY)]) if row.model == "gpt-old"]
    assert [(row.cost_nano, row.valid_from) for row in rows] == [(20_000_000_000, None)]


def test_hours_of_two_tables_that_mean_the_same_agree() -> None:
    other = _litellm(
        {
            "deepseek-flash": {
                "litellm_provider": "deepseek",
                "mode": "chat",
                "input_cost_per_token": 3e-07,
                "output_cost_per_token": 1.2e-06,
                "off_peak_pricing": {
                    "input_cost_per_token": 1.5e-07,
                    "output_cost_per_token": 6e-07,
                    "windows": [
                        {"hours_utc": ["00:00-01:00", "04:00-00:00"], "weekdays": [1, 2, 3, 4, 5]},
                        {"hours_utc": "00:00-00:00", "weekdays": [6, 7]},
                    ],
                },
            }
        }
    )

    both = _of(merge.merge([_genai(), other]), "deepseek-flash")
    alone = _of(merge.merge([other]), "deepseek-flash")

    peak = '{"from":"01:00","until":"04:00"}'
    assert {key: row.cost_nano for key, row in both.items() if key[0] == "input"} == {
        ("input", "{}"): 150_000_000,
        ("input", peak): 300_000_000,
    }
    assert all(row.review_cost_nano is None for row in both.values())
    assert (alone["output", "{}"].cost_nano, alone["output", peak].cost_nano) == (600_000_000, 1_200_000_000)


@pytest.mark.parametrize(
    ("windows", "rest"),
    [
        (["00:00-01:00", "04:00-06:00", "10:00-00:00"], [("01:00", "04:00"), ("06:00", "10:00")]),
        (["16:30-00:30"], [("00:30", "16:30")]),
        (["00:00-00:00"], []),
        (["01:00-23:00"], [("00:00", "01:00"), ("23:00", "00:00")]),
    ],
)
def test_the_hours_between_windows(windows: list[str], rest: list[tuple[str, str]]) -> None:
    assert hours.between(windows) == rest


def test_length_tiers_of_two_tables_are_not_mixed() -> None:
    other = _litellm(
        {
            "gpt-9": _openai(
                input_cost_per_token=1.25e-06,
                input_cost_per_token_above_200k_tokens=9e-06,
                input_cost_per_token_above_200k_tokens_priority=9e-05,
            )
        }
    )
    keys = _of(merge.merge([_genai(), other]), "gpt-9")
    assert ("input", '{"input_over":272000}') in keys
    assert not [key for key in keys if "200000" in key[1]]


def test_a_model_is_charged_by_tokens_or_by_the_piece_never_both() -> None:
    entries = {
        "high/1024-x-1024/draw": {
            "litellm_provider": "openai",
            "mode": "image_generation",
            "input_cost_per_image": 0.1,
        },
        "draw": {"litellm_provider": "openai", "mode": "image_generation", "output_cost_per_image": 0.1},
        "paint": {"litellm_provider": "openai", "mode": "image_generation", "output_cost_per_image": 0.04},
        "hd/1024-x-1024/paint": {
            "litellm_provider": "openai",
            "mode": "image_generation",
            "output_cost_per_image": 0.08,
        },
        "film": {"litellm_provider": "openai", "mode": "video_generation", "output_cost_per_second": 0.1}
        | {"output_cost_per_token": 1e-06, "output_cost_per_second_1080p": 0.3},
    }
    rows = merge.merge([_genai(), _litellm(entries)])

    # Pictures that go in cost more than text; both are one count.
    assert {key[0]: row.cost_nano for key, row in _of(rows, "draw").items()} == {
        "input": 8_000_000_000,
        "output": 30_000_000_000,
    }
    assert {key: row.cost_nano for key, row in _of(rows, "paint").items()} == {
        ("images", "{}"): 40_000_000,
        ("images", '{"size":"1024x1024","quality":"hd"}'): 80_000_000,
    }
    assert {key: row.cost_nano for key, row in _of(rows, "film").items()} == {
        ("seconds", "{}"): 100_000_000,
        ("seconds", '{"size":"1080p"}'): 300_000_000,
    }
    assert _of(rows, "whisper")["seconds", "{}"].cost_nano == 100_000


def test_a_dated_name_is_left_out_where_it_costs_the_same_and_stays_where_not() -> None:
    entries = {
        "gpt-5-2025-08-07": _openai(input_cost_per_token=1e-06),
        "gpt-5": _openai(input_cost_per_token=1e-06),
        "gpt-5-2025-01-01": _openai(input_cost_per_token=5e-06),
        "gpt-4-2024-08-07": _openai(input_cost_per_token=2e-06),
    }
    assert {row.model for row in merge.merge([_litellm(entries)]) if row.source == "litellm"} == {
        "gpt-5",
        "gpt-5-2025-01-01",
        "gpt-4-2024-08-07",
    }


def test_a_rule_for_names_that_contain_something_does_not_price_other_models() -> None:
    entries = {
        "gpt-old-and-new": _openai(input_cost_per_token=1e-06),
        "eu.amazon.nova-lite-v1:0": {"litellm_provider": "bedrock_converse", "output_cost_per_token": 3e-07},
        "eu.anthropic.claude-9-v1:0": {"litellm_provider": "bedrock_converse", "output_cost_per_token": 1e-05},
    }
    rows = merge.merge([_genai(), _litellm(entries)])

    assert _of(rows, "gpt-old-and-new")["input", "{}"].source == "litellm"
    assert _of(rows, "eu.amazon.nova-lite-v1:0")["output", "{}"].review_cost_nano is None
    # This one the rule means, region and all.
    assert _of(rows, "eu.anthropic.claude-9-v1:0")["output", "{}"].review_cost_nano == 11_000_000_000
    assert not [row for row in rows if row.model.startswith("regional.")]


def test_poe_and_doubao_come_under_the_names_that_they_are_called_by() -> None:
    poe = _models_dev("poe", {"openai/GPT-5.4": {"input": 2.2, "output": 14, "cache_read": 0.22}})
    doubao = _models_dev(
        "volcengine",
        {
            "doubao-seed-3": {
                "input": 0.1,
                "tiers": [{"input": 0.2, "tier": {"type": "context", "size": 32000}}],
                "context_over_200k": {"input": 0.4},
            }
        },
    )
    rows = merge.merge([poe, doubao])

    assert {row.kind: row.model for row in rows if row.source == "models.dev"} == {
        "poe": "gpt-5.4",
        "doubao": "doubao-seed-3",
    }
    assert [key[1] for key in _of(rows, "doubao-seed-3")] == ["{}", '{"input_over":32000}']


def test_the_blocklet_table_is_understood() -> None:
    document = {
        "_meta": {"generatedAt": "2026-08-08T02:37:01.879Z"},
        "providers": {
            "anthropic": {
                "claude-9": {
                    "pricingUnit": "per-token",
                    "sourceUrl": "https://docs.example/pricing",
                    "inputCostPerToken": 5e-06,
                    "outputCostPerToken": 2.5e-05,
                    "caching": {"write-5min": 6.25e-06, "write-1h": 1e-05, "read": 5e-07},
                    "contextTiers": [{"threshold": ">200K", "inputCostPerToken": 1e-05}],
                    "batchPricing": {"inputCostPerToken": 2.5e-06, "outputCostPerToken": 1.25e-05},
                },
                "claude-9::fineTuning": {"pricingUnit": "per-token", "inputCostPerToken": 1e-03},
            },
            "google": {
                "painter": {
                    "pricingUnit": "per-image",
                    "costPerImage": 0.04,
                    "imageVariants": [{"quality": "hd", "size": "1024x1024", "costPerImage": 0.08}],
                },
            },
        },
    }
    table = blocklet.of_document(json.loads(json.dumps(document), parse_float=Decimal))
    rows = merge.merge([table])

    assert table.version == "2026-08-08"
    assert {key: row.cost_nano // 1_000_000 for key, row in _of(rows, "claude-9").items()} == {
        ("input", "{}"): 5000,
        ("output", "{}"): 25000,
        ("cache_write_5m", "{}"): 6250,
        ("cache_write_1h", "{}"): 10000,
        ("cache_read", "{}"): 500,
        ("input", '{"input_over":200000}'): 10000,
        ("input", '{"service_tier":"batch"}'): 2500,
        ("output", '{"service_tier":"batch"}'): 12500,
    }
    assert len(_of(rows, "painter")) == 2
    assert not _of(rows, "claude-9::fineTuning")


def test_the_command_writes_a_bundle_that_names_its_sources(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wheel = tmp_path / "genai_prices-0.2.3-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("genai_prices/data.py", GENAI)
    table = tmp_path / "litellm.json"
    table.write_text(json.dumps({"gpt-8": _openai(input_cost_per_token=1e-06)}))
    target = tmp_path / "prices.json"

    options = ["--genai-prices", str(wheel), "--litellm", str(table), "--date", "2026-11-20", "--output", str(target)]
    cli.main(options)

    made = bundle.parse(target.read_bytes())
    assert made.version == "2026-11-20"
    assert [(one.name, one.version) for one in made.sources] == [
        ("genai-prices", "0.2.3"),
        ("litellm", "unknown"),
        ("hub", "2026-11-20"),
    ]
    assert made.match("openai", "gpt-9-2026-05-01")[0].source == "genai-prices"
    assert "openai" in capsys.readouterr().out
    # A row to a line, so that two versions can be compared.
    assert len(target.read_text().splitlines()) > len(made.rows)
