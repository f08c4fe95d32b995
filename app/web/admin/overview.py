"""The overview: what runs here, what there is to do, and what was called last."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Request, Response, get, head

from app.base import clock
from app.base.db import AsyncSession, Database
from app.domain.calls import reports
from app.domain.catalog import credentials, providers
from app.domain.identity import api_keys
from app.gateway.desk import budgeting, price_checks
from app.gateway.desk.budgeting import Standing
from app.gateway.gateway import Gateway
from app.gateway.snapshot import Snapshot
from app.web import pages
from app.web.admin import call_rows, standing, to_do
from app.web.mount_point import address_of

CALLS_SHOWN = 12
_MAX_SEARCH = 200


class OverviewController(Controller):
    """`/`, whole or in the parts that htmx swaps."""

    include_in_schema = False

    @get("/")
    async def show(
        self, request: Request[Any, Any, Any], db: Database, gateway: Gateway, q: str = "", seen: str = ""
    ) -> Response[Any]:
        """
        Args:
            q: Words that the listed models shall have.
            seen: The revision of the list of calls that the page has already.
        """
        match pages.wanted_part(request):
            case "model-list":
                return pages.page(request, "admin/overview/_model_list.html", **_models(gateway, q))
            case "call-list":
                calls = await _calls(db)
                if calls["revision"] == seen:
                    return pages.bare(204)
                return pages.page(request, "admin/overview/_call_list.html", **calls)
            case _:
                return pages.page(
                    request,
                    "admin/overview/index.html",
                    **await _standing(request, db, gateway),
                    **_models(gateway, q),
                    **await _calls(db),
                )

    @head("/")
    async def probe(self) -> None:
        """Blocklet Server looks whether the hub answers. Without a cookie not even the database is asked."""


def _models(gateway: Gateway, q: str) -> dict[str, Any]:
    wanted = q.strip()[:_MAX_SEARCH]
    found = standing.model_rows(gateway.snapshots.current, wanted)
    return {
        "q": wanted,
        "models": found[: standing.MODELS_SHOWN],
        "models_found": len(found),
        "models_in_all": len(gateway.snapshots.current.catalogue()),
    }


async def _calls(db: Database) -> dict[str, Any]:
    async with db.reading() as session:
        calls = (await reports.latest(session, None, CALLS_SHOWN))[::-1]
        names = await api_keys.names(session, {call.api_key_id for call in calls})
    return {
        "calls": call_rows.call_rows(calls, names),
        "money": call_rows.money_title(calls),
        "revision": call_rows.revision(calls),
    }


async def _standing(request: Request[Any, Any, Any], db: Database, gateway: Gateway) -> dict[str, Any]:
    snapshot = gateway.snapshots.current
    async with db.reading() as session:
        provider_list = await providers.listed(session)
        credential_list = await credentials.listed(session)
        keys = await api_keys.newest(session, standing.KEYS_SHOWN)
        keys_in_all = await api_keys.count(session)
        budgets = await _budgets(session, snapshot)
        faults = await price_checks.faults(session, snapshot.billing, snapshot.prices)
    rows = standing.provider_rows(provider_list, credential_list, snapshot, gateway.shared.health)
    return {
        "billing": snapshot.billing,
        "database": "SQLite" if db.is_sqlite else "PostgreSQL",
        "providers": rows,
        "providers_on": sum(row.state != "off" for row in rows),
        "providers_able": sum(row.takes_calls for row in rows),
        "keys": standing.key_rows(keys),
        "keys_in_all": keys_in_all,
        "to_do": to_do.listed(rows, snapshot, budgets, faults),
        "first_call": to_do.first_call(snapshot, address_of(request)),
    }


async def _budgets(session: AsyncSession, snapshot: Snapshot) -> list[tuple[str, Standing]]:
    """The budgets in force, with what each is of."""
    rules = list(snapshot.budgets.rules.values())
    if not rules:
        return []
    names = await budgeting.names(session, rules)
    return [
        (f"{one.rule.scope} {names.get(one.rule.id, '')}".rstrip(), one)
        for one in await budgeting.standings(session, rules, clock.now_us())
    ]
