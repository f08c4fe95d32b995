"""Rate lines: what is added, what is in force at which moment, and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock, ids
from app.base.config import read_settings
from app.base.db import Database
from app.base.errors import BadValue
from app.domain.catalog import rates
from app.domain.catalog.models import Rate
from app.domain.catalog.rates import NewLine

LONG = {"input_over": 200_000}
FLEX = {"service_tier": "flex"}


@pytest.fixture
async def session(hub_environ: dict[str, str]) -> AsyncIterator[AsyncSession]:
    db = Database(read_settings(hub_environ))
    async with db.writing() as writing:
        yield writing
    await db.close()


async def _now(session: AsyncSession) -> dict[tuple[str, str], int | None]:
    """Cost by meter and condition."""
    found = await rates.in_force(session, ["d"], await rates.moment(session))
    return {(one.meter, one.condition.key): one.cost_nano for one in found["d"]}


async def test_lines_of_one_meter_stand_beside_each_other_by_condition(session: AsyncSession):
    lines = [NewLine("input", 1, None), NewLine("input", 2, None, LONG), NewLine("input", 3, None, FLEX)]

    assert await rates.add_lines(session, "d", lines, source="file") == 3
    assert await rates.add_lines(session, "d", lines, source="file") == 0
    assert await rates.add_lines(session, "d", [NewLine("input", 4, None, {"service_tier": "FLEX"})], source="f") == 1
    assert await rates.add_lines(session, "d", [NewLine("input", None, None, LONG)], source="file") == 1
    assert await rates.add_lines(session, "d", [NewLine("input", None, None, LONG)], source="file") == 0

    assert await _now(session) == {("input", "{}"): 1, ("input", '{"service_tier":"flex"}'): 4}
    assert await rates.newest(session, ["d"]) == {"d": {"input": rates.Line(1, None)}}


async def test_a_line_for_later_comes_into_force_then(session: AsyncSession):
    await rates.add_lines(session, "d", [NewLine("input", 1, None)], source="file")
    day = clock.now().replace(microsecond=0) + timedelta(days=1)

    added = [
        await rates.add_lines(session, "d", [NewLine("input", 2, None)], source="b", effective_from=day, change_id="c")
        for _ in range(2)
    ]

    assert added == [1, 0]
    assert await _now(session) == {("input", "{}"): 1}
    assert await rates.next_change(session, await rates.moment(session)) == day
    assert await rates.next_change(session, day) is None
    (then,) = (await rates.in_force(session, ["d"], day))["d"]
    assert (then.cost_nano, then.change_id, then.source, then.effective_from) == (2, "c", "b", day)


async def test_a_line_for_now_does_not_touch_one_for_later(session: AsyncSession):
    day = clock.now() + timedelta(days=1)
    await rates.add_lines(session, "d", [NewLine("input", 2, None)], source="b", effective_from=day)

    await rates.add_lines(session, "d", [NewLine("input", 1, None)], source="file")

    assert await _now(session) == {("input", "{}"): 1}
    assert [one.cost_nano for one in (await rates.in_force(session, ["d"], day))["d"]] == [2]


async def test_a_moment_that_has_passed_is_now(session: AsyncSession):
    began = clock.now()

    await rates.add_lines(
        session, "d", [NewLine("input", 1, None)], source="b", effective_from=datetime(2020, 1, 1, tzinfo=UTC)
    )

    assert (await rates.in_force(session, ["d"], began - timedelta(seconds=1)))["d"] == []
    assert await _now(session) == {("input", "{}"): 1}


async def test_a_clock_that_was_set_back_does_not_bring_an_old_rate_into_force(
    session: AsyncSession, monkeypatch: pytest.MonkeyPatch
):
    for year in (2030, 2029, 2028):
        moment = datetime(year, 1, 1, tzinfo=UTC)
        monkeypatch.setattr(clock, "now", lambda moment=moment: moment)
        monkeypatch.setattr(ids.time, "time_ns", lambda moment=moment: int(moment.timestamp() * 10**9))
        await rates.add_lines(session, "d", [NewLine("input", year, None)], source="file")

        assert await _now(session) == {("input", "{}"): year}


async def test_a_cost_that_is_in_doubt_is_another_line_than_one_that_is_not(session: AsyncSession):
    doubtful = NewLine("input", 1, None, review_cost_nano=2)

    assert await rates.add_lines(session, "d", [doubtful], source="bundle") == 1
    assert await rates.add_lines(session, "d", [doubtful], source="bundle") == 0
    assert await rates.set_card(session, "d", {"input": (1, None)}, "file") == 0
    assert await rates.add_lines(session, "d", [NewLine("input", 1, None)], source="console") == 1


async def test_a_whole_card_may_say_its_conditional_lines_too(session: AsyncSession):
    both = [NewLine("input", 2, None, LONG), NewLine("input", 3, None, FLEX)]
    await rates.set_card(session, "d", {"input": (1, None)}, "file", conditional=both)

    assert await rates.set_card(session, "d", {"input": (1, None)}, "file") == 0
    assert await rates.set_card(session, "d", {"input": (1, None)}, "file", conditional=both[:1]) == 1
    assert await _now(session) == {("input", "{}"): 1, ("input", '{"input_over":200000}'): 2}
    assert await rates.set_card(session, "d", {}, "file", conditional=[]) == 2
    assert await _now(session) == {}


@pytest.mark.parametrize(
    "line",
    [
        NewLine("reasoning", 1, 1),
        NewLine("tokens", 1, 1),
        NewLine("input", -1, None),
        NewLine("input", None, 2**63),
        NewLine("input", 1, None, review_cost_nano=-1),
        NewLine("input", 1, None, {"weather": "fine"}),
    ],
)
async def test_a_line_that_cannot_be_is_refused_and_nothing_is_added(session: AsyncSession, line: NewLine):
    with pytest.raises(BadValue):
        await rates.add_lines(session, "d", [NewLine("output", 1, None), line], source="file")

    assert await session.scalar(select(func.count()).select_from(Rate)) == 0


async def test_two_lines_for_the_same_are_refused(session: AsyncSession):
    with pytest.raises(BadValue, match="two rates of input"):
        await rates.add_lines(session, "d", [NewLine("input", 1, None), NewLine("input", 2, None)], source="file")


async def test_a_price_below_cost_can_be_allowed_and_zero_needs_no_leave(session: AsyncSession):
    below, free = NewLine("input", 10, 9), NewLine("output", 10, 0)

    assert await rates.add_lines(session, "d", [free], source="console") == 1
    assert await rates.add_lines(session, "d", [below], source="console", allows_below_cost=True) == 1
    with pytest.raises(BadValue):
        await rates.add_lines(session, "d", [NewLine("input", 10, 8)], source="console")


async def test_a_line_that_this_version_cannot_read_never_applies(session: AsyncSession):
    await rates.add_lines(session, "d", [NewLine("input", 1, None)], source="file")
    session.add(
        Rate(
            deployment_id="d",
            meter="input",
            per_units=1_000_000,
            cost_nano=9,
            condition={"weather": "fine"},
            effective_from=clock.now(),
            source="newer",
        )
    )
    await session.flush()

    assert await _now(session) == {("input", "{}"): 1}
