"""What is wrong with prices is named with model, provider and the command that mends it."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from app.base.config import read_settings
from app.base.db import Database
from app.base.money import NANO
from app.domain.catalog import deployments, pricing, providers, rates, settings
from app.domain.catalog.deployments import MODEL_TYPES
from app.domain.catalog.models import PriceNotice
from app.domain.catalog.rates import NewLine
from app.gateway.desk import price_checks
from app.gateway.desk.price_checks import Fault


@pytest.fixture
async def db(hub_environ: dict[str, str]) -> AsyncIterator[Database]:
    database = Database(read_settings(hub_environ))
    yield database
    await database.close()


async def _serve(db: Database, name: str, *lines: NewLine, type_: str = "chat", is_enabled: bool = True) -> str:
    """A model of this name at the provider `lab`, or where that is switched off at `closed`."""
    async with db.writing() as session:
        source = "lab" if is_enabled else "closed"
        lab = await providers.find_by_name(session, source) or await providers.add(session, name=source, kind="openai")
        lab.is_enabled = is_enabled
        model = await deployments.add_model(session, name=name, type=type_)
        row = await deployments.add(session, model_id=model.id, provider_id=lab.id, upstream_model=name)
        await rates.add_lines(session, row.id, lines, source="file")
    return row.id


async def _faults(db: Database, billing: str = "credits") -> list[Fault]:
    async with db.reading() as session:
        return await price_checks.faults(session, billing, await pricing.load(session))


async def test_a_model_without_a_whole_price_cannot_be_sold_and_is_named(db: Database):
    await _serve(db, "whole", NewLine("input", NANO, None), NewLine("output", None, 0))
    await _serve(db, "half", NewLine("input", NANO, None))
    await _serve(db, "bare")
    await _serve(db, "off", is_enabled=False)

    found = await _faults(db)

    assert sorted((fault.kind, fault.model, fault.provider) for fault in found) == [
        ("unpriced", "bare", "lab"),
        ("unpriced", "half", "lab"),
    ]
    assert all(fault.provider in fault.sentence and fault.model in fault.sentence for fault in found)
    assert await _faults(db, "cost") == []


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("type_", MODEL_TYPES)
async def test_the_prices_that_the_command_asks_for_are_enough(db: Database, type_: str):
    deployment_id = await _serve(db, "m", type_=type_)
    (fault,) = await _faults(db)

    words = shlex.split(fault.command)
    assert words[:3] == ["hub", "reprice", "apply"]
    meters = [after.partition("=")[0] for word, after in pairwise(words) if word == "--price"]
    async with db.writing() as session:
        await rates.add_lines(session, deployment_id, [NewLine(meter, None, 1) for meter in meters], source="console")

    assert await _faults(db) == []


async def test_a_price_below_cost_is_told_with_what_is_charged(db: Database):
    lines = [NewLine("input", NANO, 2 * NANO), NewLine("output", NANO, 2 * NANO, {"service_tier": "flex"})]
    deployment_id = await _serve(db, "m", NewLine("output", NANO, None), *lines)
    async with db.writing() as session:
        dearer = [NewLine("input", 3 * NANO, 2 * NANO), NewLine("output", 3 * NANO, 2 * NANO, {"service_tier": "flex"})]
        await rates.add_lines(session, deployment_id, dearer, source="prices 2026-11-21", allows_below_cost=True)

    found = await _faults(db)

    assert sorted(fault.sentence for fault in found) == [
        "input of m at lab is priced at 2 credits, below its cost, which is charged: 3 per 1000000.",
        'output ({"service_tier":"flex"}) of m at lab is priced at 2 credits, below its cost, which is charged: 3 per '
        "1000000.",
    ]
    assert {fault.command.split()[-1] for fault in found} == {"--back-to-markup"}
    async with db.writing() as session:
        await settings.put(session, "sell_below_cost", "on")
        await settings.put(session, "markup", "-50")
    lossy = {fault.sentence: fault.command for fault in await _faults(db)}
    assert "input of m at lab is sold at a loss: for 2 credits; it costs 3 per 1000000." in lossy
    sentence = "output of m at lab is sold at a loss: for 0.5 credits; it costs 1 per 1000000."
    assert lossy[sentence] == "hub settings set sell_below_cost off"
    assert await _faults(db, "off") == []


async def test_what_was_noticed_of_a_provider_is_told_in_every_mode_while_its_route_is_there(db: Database):
    deployment_id = await _serve(db, "m", NewLine("input", NANO, None), NewLine("output", NANO, None))
    async with db.writing() as session:
        for n, id_ in enumerate((deployment_id, "f" * 32)):
            session.add(PriceNotice(deployment_id=id_, kind="drift", text=f"It said {n}.", created_us=n))

    for billing in ("credits", "cost"):
        (fault,) = await _faults(db, billing)
        assert (fault.kind, fault.model, fault.provider, fault.sentence) == ("drift", "m", "lab", "It said 0.")
        assert fault.command == "hub prices diff --provider lab"
