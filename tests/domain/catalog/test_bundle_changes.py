"""What a price bundle changes in the rates, and what it leaves alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.base.config import read_settings
from app.base.db import Database
from app.domain.catalog import bundle_changes, deployments, providers, rates
from app.domain.catalog.models import Rate
from tests.domain.catalog.bundles import bundle_of

OUTPUT = {"meter": "output", "cost_nano": 10_000_000_000}


@pytest.fixture
async def session(hub_environ: dict[str, str]) -> AsyncIterator[AsyncSession]:
    db = Database(read_settings(hub_environ))
    async with db.writing() as writing:
        yield writing
    await db.close()


async def _deployment(session: AsyncSession, name: str = "gpt-9", kind: str = "openai", model: str = "") -> str:
    provider = next((one for one in await providers.listed(session) if one.name == kind), None)
    provider = provider or await providers.add(session, name=kind, kind=kind)
    made = await deployments.add_model(session, name=model or name, type="chat")
    return (await deployments.add(session, model_id=made.id, provider_id=provider.id, upstream_model=name)).id


async def _lines(session: AsyncSession, deployment_id: str) -> dict[tuple[str, str], tuple[int | None, ...]]:
    """Cost, price and the cost for review of what is in force."""
    found = await rates.in_force(session, [deployment_id], await rates.moment(session))
    return {one.key: (one.cost_nano, one.price_nano, one.review_cost_nano) for one in found[deployment_id]}


async def _cost_at(session: AsyncSession, deployment_id: str, moment: datetime) -> int | None:
    [line] = (await rates.in_force(session, [deployment_id], moment))[deployment_id]
    return line.cost_nano


async def _own(session: AsyncSession, deployment_id: str, cost: int | None, price: int | None) -> None:
    await rates.add_lines(session, deployment_id, [rates.NewLine("input", cost, price)], source="file")


async def test_a_model_without_rates_gets_those_of_the_bundle(session: AsyncSession):
    deployment = await _deployment(session)
    bundle = bundle_of({}, OUTPUT, {"condition": {"input_over": 200_000}, "cost_nano": 2_000_000_000})

    done = await bundle_changes.apply(session, bundle)

    assert {change.why for change in done.changes} == {"new"}
    assert await _lines(session, deployment) == {
        ("input", "{}"): (1_000_000_000, None, None),
        ("input", '{"input_over":200000}'): (2_000_000_000, None, None),
        ("output", "{}"): (10_000_000_000, None, None),
    }
    assert {rate.source for rate in await session.scalars(select(Rate))} == {"prices 2026-11-20"}


async def test_applied_again_it_adds_nothing(session: AsyncSession):
    await _deployment(session)
    bundle = bundle_of({}, OUTPUT, {"valid_from": "2999-01-01", "cost_nano": 5}, {"condition": {"quality": "HD"}})
    await bundle_changes.apply(session, bundle)
    before = (await session.scalars(select(Rate.id))).all()

    assert (await bundle_changes.apply(session, bundle)).changes == ()
    assert (await session.scalars(select(Rate.id))).all() == before and len(before) == 4


async def test_looking_changes_nothing(session: AsyncSession):
    deployment = await _deployment(session)
    found = await bundle_changes.diff(session, bundle_of({}))

    [change] = found.changes
    assert (change.provider, change.model, change.upstream_model) == ("openai", "gpt-9", "gpt-9")
    assert (change.old_cost_nano, change.new_cost_nano, change.effective_from) == (None, 1_000_000_000, None)
    assert await _lines(session, deployment) == {}


async def test_a_newer_bundle_changes_and_ends_what_an_older_one_said(session: AsyncSession):
    deployment = await _deployment(session)
    await bundle_changes.apply(session, bundle_of({}, OUTPUT, {"condition": {"service_tier": "flex"}, "cost_nano": 5}))

    done = await bundle_changes.apply(session, bundle_of({"cost_nano": 3}, OUTPUT, version="2026-12-01"))

    assert {(change.meter, change.why, change.old_cost_nano, change.new_cost_nano) for change in done.changes} == {
        ("input", "changed", 1_000_000_000, 3),
        ("input", "ended", 5, None),
    }
    assert await _lines(session, deployment) == {
        ("input", "{}"): (3, None, None),
        ("output", "{}"): (10_000_000_000, None, None),
    }


async def test_an_explicit_price_stays_when_its_cost_changes(session: AsyncSession):
    deployment = await _deployment(session)
    await _own(session, deployment, None, 7_000_000_000)

    await bundle_changes.apply(session, bundle_of({}))
    assert await _lines(session, deployment) == {("input", "{}"): (1_000_000_000, 7_000_000_000, None)}

    await bundle_changes.apply(session, bundle_of({"cost_nano": 9_000_000_000}))
    assert await _lines(session, deployment) == {("input", "{}"): (9_000_000_000, 7_000_000_000, None)}

    await bundle_changes.apply(session, bundle_of(OUTPUT))
    assert (await _lines(session, deployment))["input", "{}"] == (None, 7_000_000_000, None)


async def test_a_cost_that_somebody_entered_is_kept_until_told_otherwise(session: AsyncSession):
    deployment = await _deployment(session)
    await _own(session, deployment, 800_000_000, None)

    found = await bundle_changes.apply(session, bundle_of({}, OUTPUT))
    [kept] = found.kept
    assert (kept.cost_nano, kept.bundle_cost_nano, kept.source) == (800_000_000, 1_000_000_000, "file")
    assert (await _lines(session, deployment))["input", "{}"] == (800_000_000, None, None)

    # Nor is it ended by a bundle that does not have it.
    await bundle_changes.apply(session, bundle_of(OUTPUT))
    assert (await _lines(session, deployment))["input", "{}"] == (800_000_000, None, None)

    replaced = await bundle_changes.apply(session, bundle_of({}, OUTPUT), is_replacing=True)
    assert [change.why for change in replaced.changes] == ["changed"] and not replaced.kept
    assert (await _lines(session, deployment))["input", "{}"] == (1_000_000_000, None, None)


async def test_a_price_that_is_set_later_does_not_stop_its_cost(session: AsyncSession):
    deployment = await _deployment(session)
    await bundle_changes.apply(session, bundle_of({}))
    await _own(session, deployment, 1_000_000_000, 4_000_000_000)

    done = await bundle_changes.apply(session, bundle_of({"cost_nano": 1_100_000_000}))

    assert [change.price_nano for change in done.changes] == [4_000_000_000]
    assert await _lines(session, deployment) == {("input", "{}"): (1_100_000_000, 4_000_000_000, None)}


async def test_where_sources_disagree_the_higher_cost_comes_along(session: AsyncSession):
    deployment = await _deployment(session)
    await bundle_changes.apply(session, bundle_of({"review_cost_nano": 1_500_000_000}))
    assert await _lines(session, deployment) == {("input", "{}"): (1_000_000_000, None, 1_500_000_000)}

    await bundle_changes.apply(session, bundle_of({}))
    assert await _lines(session, deployment) == {("input", "{}"): (1_000_000_000, None, None)}


async def test_an_announced_change_begins_on_its_day(session: AsyncSession):
    deployment = await _deployment(session)
    day = (clock.now() + timedelta(days=40)).date()

    done = await bundle_changes.apply(session, bundle_of({}, {"cost_nano": 5, "valid_from": str(day)}))

    begins = datetime(day.year, day.month, day.day, tzinfo=UTC)
    assert [(one.new_cost_nano, one.effective_from) for one in done.changes] == [(1_000_000_000, None), (5, begins)]
    assert (await _lines(session, deployment))["input", "{}"][0] == 1_000_000_000
    assert await _cost_at(session, deployment, begins) == 5


async def test_an_announced_change_that_is_taken_back_does_not_come(session: AsyncSession):
    deployment = await _deployment(session)
    day = (clock.now() + timedelta(days=40)).date()
    later = clock.now() + timedelta(days=60)
    await bundle_changes.apply(session, bundle_of({}, {"cost_nano": 5, "valid_from": str(day)}))

    await bundle_changes.apply(session, bundle_of({}))
    assert [one.cost_nano for one in (await rates.in_force(session, [deployment], later))[deployment]] == [
        1_000_000_000
    ]

    # Another cost meanwhile, and then what it costs today: both are said.
    again = bundle_of({"cost_nano": 9}, {"cost_nano": 1_000_000_000, "valid_from": str(day)})
    await bundle_changes.apply(session, again)
    assert (await _lines(session, deployment))["input", "{}"][0] == 9
    assert [one.cost_nano for one in (await rates.in_force(session, [deployment], later))[deployment]] == [
        1_000_000_000
    ]
    assert (await bundle_changes.diff(session, again)).changes == ()


async def test_a_change_whose_day_has_come_is_the_present_price(session: AsyncSession):
    deployment = await _deployment(session)
    await bundle_changes.apply(
        session,
        bundle_of({}, {"cost_nano": 5, "valid_from": "2026-01-01"}, {"cost_nano": 7, "valid_from": "2025-01-01"}),
    )
    assert await _lines(session, deployment) == {("input", "{}"): (5, None, None)}


@pytest.mark.parametrize("provider", [None, "openai"])
async def test_each_deployment_gets_the_rows_of_its_kind_and_name(session: AsyncSession, provider: str | None):
    dated = await _deployment(session, "gpt-9-2026-03-05")
    local = await _deployment(session, "llama9:70b", kind="ollama")
    stranger = await _deployment(session, "gpt-1")
    bundle = bundle_of({}, {"kind": "ollama", "model": "*", "cost_nano": 0})

    done = await bundle_changes.apply(session, bundle, provider_name=provider)

    assert (await _lines(session, dated))["input", "{}"][0] == 1_000_000_000
    assert await _lines(session, local) == ({} if provider else {("input", "{}"): (0, None, None)})
    assert await _lines(session, stranger) == {}
    assert [(one.upstream_model, one.has_rates) for one in done.unmatched] == [("gpt-1", False)]


async def test_what_the_bundle_does_not_know_keeps_its_rates(session: AsyncSession):
    deployment = await _deployment(session)
    await bundle_changes.apply(session, bundle_of({}))

    done = await bundle_changes.apply(session, bundle_of({"model": "gpt-10"}))

    assert (done.changes, [one.has_rates for one in done.unmatched]) == ((), [True])
    assert ("input", "{}") in await _lines(session, deployment)


@pytest.mark.databases("sqlite")
async def test_a_thousand_deployments_are_compared_at_once(session: AsyncSession):
    for n in range(1000):
        await _deployment(session, f"gpt-{n}x")
    rows: list[dict[str, Any]] = [{"model": f"gpt-{n}x", "cost_nano": n} for n in range(1000)]

    assert len((await bundle_changes.apply(session, bundle_of(*rows))).changes) == 1000
    assert (await bundle_changes.apply(session, bundle_of(*rows))).changes == ()
