"""Calls of all sorts for pricing anew: every row of the charging policy, tiers, times of the day, costs told."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from app.base.ids import new_id
from app.base.money import NANO
from app.base.usage import METERS
from app.domain.catalog import deployments, providers, rates
from app.domain.catalog.policy import ACTIONS, DEFAULTS
from app.domain.catalog.rates import NewLine
from app.domain.identity import teams

MODELS = 6
_LINES = (
    NewLine("input", NANO + 1, None),
    NewLine("cache_read", NANO // 10, None),
    NewLine("output", 4 * NANO + 3, None),
    NewLine("input", 2 * NANO, None, {"input_over": 3_000}),
    NewLine("output", 2 * NANO + 7, None, {"service_tier": "flex"}),
    NewLine("output", 3 * NANO, None, {"from": "22:00", "until": "06:00"}),
    NewLine("requests", 12_345, None),
)


async def stock(session: Any) -> tuple[list[str], list[str]]:
    """Deployments of `m0` to `m5`, each with its own lines, the last without any; and two teams, one with a markup."""
    lab = await providers.add(session, name="lab", kind="openai")
    ids: list[str] = []
    for n in range(MODELS):
        model = await deployments.add_model(session, name=f"m{n}", type="chat")
        row = await deployments.add(session, model_id=model.id, provider_id=lab.id, upstream_model=f"m{n}")
        if n < MODELS - 1:
            await rates.add_lines(session, row.id, _LINES[: 3 + n], source="file")
        ids.append(row.id)
    acme, globex = await teams.ensure(session, "acme"), await teams.ensure(session, "globex")
    await teams.set_markup(session, globex.id, 5_000)
    return ids, [acme.id, globex.id]


def row(team_id: str, started_us: int, **fields: Any) -> dict[str, Any]:
    """A call that has succeeded, as it stands in its table; of nothing consumed unless `fields` say so."""
    return {
        "id": new_id(),
        "boot_id": "boot",
        "team_id": team_id,
        "api_key_id": "key",
        "endpoint": "chat.completions",
        "model": "m0",
        "is_streamed": False,
        "status": "succeeded",
        "started_us": started_us,
        "attempts": 1,
        "usage_source": "provider",
        "billing": "credits",
        "charged_as": "completed.some charge",
        "deployment_id": None,
        "price_facts": None,
        "cost_nano": None,
        "charge_nano": None,
        "provider_cost_nano": None,
        **dict.fromkeys(METERS, 0),
        **fields,
    }


def any_row(
    chance: random.Random, team_ids: Sequence[str], deployment_ids: Sequence[str], started_us: int
) -> dict[str, Any]:
    """A call as any."""
    n = chance.randrange(len(deployment_ids))
    fields: dict[str, Any] = {"model": f"m{n}", "deployment_id": deployment_ids[n]}
    fields |= {"input": chance.randrange(1, 6_000), "output": chance.randrange(900), "requests": 1}
    fields["cache_read"] = chance.choice((0, 0, 1_024))
    fields["reasoning"] = fields["output"] // 2
    if chance.random() < 0.2:
        fields["price_facts"] = chance.choice(('{"service_tier":"flex"}', '{"size":"1024x1024"}'))
    if chance.random() < 0.1:
        fields |= {"usage_source": "reported_cost", "provider_cost_nano": chance.randrange(10**8)}
    elif chance.random() < 0.1:
        fields |= {"usage_source": "none", "status": "failed", **dict.fromkeys(METERS, 0)}
    fields["charged_as"] = f"{chance.choice(list(DEFAULTS))} {chance.choice(ACTIONS)}"
    fields |= {"cost_nano": chance.randrange(10**8), "charge_nano": chance.randrange(10**8)}
    return row(chance.choice(team_ids), started_us, **fields)
