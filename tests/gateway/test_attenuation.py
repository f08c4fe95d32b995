"""No key can do what a key above it cannot: whatever the rows say, and however the line above changes later."""

from __future__ import annotations

import asyncio
import fnmatch
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from app.base import addresses, clock
from app.base.config import read_settings
from app.base.db import Database
from app.base.errors import AppError
from app.domain.identity import api_keys, callers, teams
from app.domain.identity.callers import MAX_DEPTH, Caller
from app.domain.identity.key_rights import TASKS
from app.domain.identity.models import ApiKey
from app.gateway import admission
from app.web.api import routes

NAMES = ("openai/gpt", "openai/o1", "lab/x", "x")
ADDRESSES = ("10.0.0.1", "10.1.0.1", "192.0.2.1", "2001:db8::1", "::ffff:10.0.0.1")
PEPPER = b"p" * 32
MOMENT = datetime(2030, 1, 1, tzinfo=UTC)

_GLOBS = st.lists(st.sampled_from(["*", "openai/*", "*/x", "lab/?", "x", "[!l]*"]), min_size=1, max_size=2)
_DENIED = st.lists(st.sampled_from(["*o1", "lab/*", "x"]), max_size=1)
_NETWORKS = st.lists(st.sampled_from(["10.0.0.0/8", "10.0.0.0/16", "192.0.2.0/24", "2001:db8::/32"]), max_size=2)


class Row(Struct, kw_only=True):
    """A key as somebody with access to the tables could make it: above it stands the one of that number, if any."""

    above: int
    models: list[str]
    denied: list[str]
    tasks: list[str]
    networks: list[str]
    days: int | None
    is_strict: bool
    is_disabled: bool
    is_revoked: bool


_ROWS = st.lists(
    st.builds(
        Row,
        above=st.integers(-1, 10),
        models=_GLOBS,
        denied=_DENIED,
        tasks=st.lists(st.sampled_from(TASKS[:3]), max_size=2, unique=True),
        networks=_NETWORKS,
        days=st.sampled_from([None, None, -1, 1]),
        is_strict=st.booleans(),
        is_disabled=st.sampled_from([False, False, False, True]),
        is_revoked=st.sampled_from([False, False, False, False, True]),
    ),
    min_size=2,
    max_size=8,
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(rows=_ROWS)
def test_no_line_of_keys_can_do_what_one_above_cannot(hub_environ: dict[str, str], rows: list[Row]) -> None:
    async def stored() -> dict[str, Caller]:
        db = Database(read_settings(hub_environ))
        ids: list[str] = []
        async with db.writing() as session:
            team = await teams.create(session, name=f"team {clock.now_us()}")
            for n, row in enumerate(rows):
                key, _ = await api_keys.create(
                    session, PEPPER, team_id=team.id, name=str(n), models=row.models, denied_models=row.denied,
                    endpoints=row.tasks, addresses=row.networks, is_strict=row.is_strict,
                    expires_at=None if row.days is None else MOMENT + timedelta(days=row.days),
                    is_enabled=not row.is_disabled, parent_id=ids[row.above] if 0 <= row.above < n else None,
                )  # fmt: skip
                ids.append(key.id)
            for key_id, row in zip(ids, rows, strict=True):
                if row.is_revoked:
                    # The one row alone, as if the keys below had been forgotten.
                    (await session.get_one(ApiKey, key_id)).revoked_at = clock.now()
        async with db.reading() as session:
            found = await callers.all_callers(session)
        await db.close()
        return {caller.key_name: caller for caller in found.values() if caller.team_id == team.id}

    known = asyncio.run(stored())

    for n, row in enumerate(rows):
        line, place = [row], n
        while 0 <= rows[place].above < place:
            place = rows[place].above
            line.append(rows[place])
        caller = known.get(str(n))
        if any(one.is_revoked for one in line) or len(line) > MAX_DEPTH:
            assert caller is None
            continue
        assert caller is not None
        assert caller.is_strict == any(one.is_strict for one in line)
        for name in NAMES:
            assert caller.may_call(name) == all(_allows(one, name) for one in line)
        for task in TASKS:
            assert _passes(admission.check_task, caller, task) == all(not o.tasks or task in o.tasks for o in line)
        for text in ADDRESSES:
            came = addresses.address(text)
            inside = all(not o.networks or addresses.is_in(came, map(addresses.network, o.networks)) for o in line)
            assert _passes(admission.check_address, caller, lambda came=came: came) == inside
        if any(one.networks for one in line):
            assert not _passes(admission.check_address, caller, lambda: None)
        ended = any(one.is_disabled or (one.days is not None and one.days < 0) for one in line)
        assert _passes(admission.check_caller, caller, MOMENT) == (not ended)


def test_every_endpoint_that_is_called_belongs_to_a_task() -> None:
    called = [*routes.CALLS.values(), *routes.CALL_PATTERNS]

    assert {admission.task_of(row.endpoint) for row in called} == set(TASKS)
    assert {row.task for row in routes.RESOURCES if row.task is not None} <= set(TASKS)


def _allows(row: Row, name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, glob) for glob in row.models) and not any(
        fnmatch.fnmatchcase(name, glob) for glob in row.denied
    )


def _passes(check: Any, *arguments: Any) -> bool:
    try:
        check(*arguments)
    except AppError:
        return False
    return True
