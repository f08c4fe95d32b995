"""Windows of budgets: where they begin and end, on clocks that leap."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.base.errors import BadValue
from app.domain.billing import windows
from app.domain.billing.windows import WINDOWS, Window

HOUR_US = 3_600_000_000


def _us(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("window", "moment", "begin", "end"),
    [
        ("day", "2026-11-20 23:59:59", "2026-11-20", "2026-11-21"),
        ("day", "2026-11-21 00:00:00", "2026-11-21", "2026-11-22"),
        ("week", "2026-11-22 23:59:59", "2026-11-16", "2026-11-23"),
        ("week", "2026-11-23 00:00:00", "2026-11-23", "2026-11-30"),
        ("week", "2027-01-01 12:00:00", "2026-12-28", "2027-01-04"),
        ("month", "2026-12-31 23:59:59", "2026-12-01", "2027-01-01"),
        ("month", "2028-02-29 08:00:00", "2028-02-01", "2028-03-01"),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kathmandu"])
def test_a_window_begins_at_midnight_of_its_zone(window: Window, moment: str, begin: str, end: str, zone: str) -> None:
    assert windows.begins(window, zone, _us(moment, zone)) == (_us(begin, zone), _us(end, zone))


def test_the_same_moment_is_in_another_day_elsewhere() -> None:
    moment = _us("2026-11-20 23:30:00")

    assert windows.begins("day", "UTC", moment)[0] == _us("2026-11-20")
    assert windows.begins("day", "Europe/Berlin", moment)[0] == _us("2026-11-20 23:00:00")
    assert windows.begins("day", "America/New_York", moment)[0] == _us("2026-11-20 05:00:00")


@pytest.mark.parametrize(
    ("zone", "noon", "hours"),
    [
        ("Europe/Berlin", "2026-03-29 12:00", 23),
        ("Europe/Berlin", "2026-10-25 12:00", 25),
        ("Europe/Berlin", "2026-10-26 12:00", 24),
        ("Australia/Lord_Howe", "2026-10-04 12:00", 23.5),
        # At midnight itself: the day begins at one o'clock, or has its first hour twice.
        ("America/Santiago", "2026-09-06 12:00", 23),
        ("America/Havana", "2026-11-01 12:00", 25),
        # The hour before midnight comes twice.
        ("Asia/Beirut", "2026-10-24 12:00", 25),
    ],
)
def test_a_day_has_the_hours_that_its_clocks_show(zone: str, noon: str, hours: float) -> None:
    begin, end = windows.begins("day", zone, _us(noon, zone))

    assert end is not None and end - begin == hours * HOUR_US
    for moment in (begin, begin + 1, end - 1):
        assert windows.begins("day", zone, moment) == (begin, end)
    assert windows.begins("day", zone, begin - 1)[1] == begin
    assert windows.begins("day", zone, end)[0] == end


def test_all_time_is_one_window() -> None:
    assert windows.begins("total", "Europe/Berlin", _us("2026-11-20")) == (0, None)


@given(
    # Among them clocks that leaped over midnight, both ways, and a zone that left out a whole day.
    zone=st.sampled_from(
        [
            "Europe/Berlin",
            "America/Goose_Bay",
            "America/Toronto",
            "Pacific/Apia",
            "America/Sao_Paulo",
            "Africa/Cairo",
            "Asia/Gaza",
            "Antarctica/Troll",
            "America/Scoresbysund",
        ]
    ),
    window=st.sampled_from(WINDOWS[:3]),
    moment=st.datetimes(datetime(1915, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)),
)
def test_windows_follow_each_other_without_gap_or_overlap(zone: str, window: Window, moment: datetime) -> None:
    moment_us = int(moment.timestamp()) * 1_000_000

    begin, end = windows.begins(window, zone, moment_us)

    assert end is not None and begin <= moment_us < end
    assert windows.begins(window, zone, begin) == (begin, end)
    assert windows.begins(window, zone, end - 1) == (begin, end)
    assert windows.begins(window, zone, end)[0] == end
    assert windows.begins(window, zone, begin - 1)[1] == begin


@pytest.mark.parametrize("name", ["", "Europe", "Mars/Olympus", "../etc/passwd", "localtime", "CET+1", "europe/berlin"])
def test_a_zone_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(BadValue, match="not a time zone") as refused:
        windows.check_timezone(name)
    assert refused.value.param == "timezone"


def test_usual_zones_and_windows_are_taken() -> None:
    assert [windows.check_timezone(name) for name in ("UTC", "Europe/Berlin", "Etc/GMT+5")]
    assert [windows.check_window(name) for name in WINDOWS] == list(WINDOWS)
    with pytest.raises(BadValue, match="not a window"):
        windows.check_window("year")
