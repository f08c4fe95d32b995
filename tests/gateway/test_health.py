"""Who rests and for how long, on a clock of the test's own."""

from __future__ import annotations

import pytest

from app.gateway import health
from app.gateway.health import BREAKER_FAILURES, BREAKER_MAX_SECONDS, BREAKER_SECONDS, EVERY_MODEL, Health

MODEL = "gpt-4o-mini"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watched(clock: Clock) -> Health:
    return Health(clock)


def fail(watched: Health, times: int) -> None:
    for _ in range(times):
        watched.begin("c", MODEL)
        watched.failed("c", MODEL)


def test_some_failures_rest_nobody_and_one_success_forgets_them(watched: Health) -> None:
    fail(watched, BREAKER_FAILURES - 1)
    assert watched.rests_for("c", MODEL) == 0
    watched.succeeded("c", MODEL)
    fail(watched, BREAKER_FAILURES - 1)
    assert watched.rests_for("c", MODEL) <= 0


def test_after_the_breakers_time_one_probe_goes_through(watched: Health, clock: Clock) -> None:
    fail(watched, BREAKER_FAILURES)
    assert watched.rests_for("c", MODEL) == BREAKER_SECONDS
    clock.now += BREAKER_SECONDS
    assert watched.rests_for("c", MODEL) <= 0

    watched.begin("c", MODEL)

    assert watched.rests_for("c", MODEL) > 0
    watched.succeeded("c", MODEL)
    assert watched.rests_for("c", MODEL) == 0


def test_a_probe_that_fails_opens_the_breaker_for_twice_as_long_up_to_a_bound(watched: Health, clock: Clock) -> None:
    fail(watched, BREAKER_FAILURES)
    rests = []
    for _ in range(7):
        clock.now += watched.rests_for("c", MODEL)
        fail(watched, 1)
        rests.append(watched.rests_for("c", MODEL))

    assert rests == [30, 60, 120, 240, BREAKER_MAX_SECONDS, BREAKER_MAX_SECONDS, BREAKER_MAX_SECONDS]


def test_a_hundred_failures_at_once_are_one_outage(watched: Health) -> None:
    for _ in range(100):
        watched.begin("c", MODEL)
    for _ in range(100):
        watched.failed("c", MODEL)

    assert watched.rests_for("c", MODEL) == BREAKER_SECONDS


def test_a_probe_whose_client_left_makes_room_for_the_next(watched: Health, clock: Clock) -> None:
    fail(watched, BREAKER_FAILURES)
    clock.now += BREAKER_SECONDS
    watched.begin("c", MODEL)

    watched.abandoned("c", MODEL)

    assert watched.rests_for("c", MODEL) <= 0


def test_a_probe_that_never_comes_back_is_forgotten(watched: Health, clock: Clock) -> None:
    fail(watched, BREAKER_FAILURES)
    clock.now += BREAKER_SECONDS
    watched.begin("c", MODEL)

    clock.now += health.PROBE_SECONDS

    assert watched.rests_for("c", MODEL) <= 0


def test_a_rate_limit_rests_what_it_names_and_never_shorter_than_before(watched: Health, clock: Clock) -> None:
    watched.rest("c", MODEL, 60, is_limited=True)
    watched.rest("c", MODEL, 5, is_limited=True)
    assert watched.rests_for("c", MODEL) == 60 and watched.rests_for("c", "other") <= 0
    assert watched.is_limited("c", MODEL) and not watched.is_limited("c", "other")

    watched.rest("c", EVERY_MODEL, 90, is_limited=True)
    assert watched.rests_for("c", "other") == 90

    clock.now += 91
    assert watched.rests_for("c", MODEL) <= 0 and not watched.is_limited("c", MODEL)


def test_one_models_success_does_not_wake_a_credential_that_rests_as_a_whole(watched: Health) -> None:
    watched.rest("c", EVERY_MODEL, 60, is_limited=False)

    watched.succeeded("c", MODEL)

    assert watched.rests_for("c", MODEL) == 60


def test_the_memory_is_bounded(watched: Health, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "MAX_ENTRIES", 100)
    watched.rest("kept", MODEL, 60, is_limited=True)

    for n in range(1000):
        watched.failed(f"c{n}", MODEL)

    assert len(watched._states) <= 101 and watched.rests_for("kept", MODEL) == 60
