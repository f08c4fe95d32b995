"""Whose turn it is: priority, then weight, evenly spread; who rests is passed over."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.providers.registry import KINDS
from app.base.errors import NoRoute, NotServed, ProviderLimited
from app.base.secret import Secret
from app.domain.catalog.serving import CallableModel, Route, Source, UsableCredential
from app.gateway.health import EVERY_MODEL, Health
from app.gateway.routing import Candidate, Router
from app.wire.openai.endpoints import BY_PATH

CHAT = BY_PATH["/chat/completions"]


def a_route(
    name: str, *, weight: int = 100, priority: int = 0, keys: tuple[int, ...] = (100,), kind: str = "openai"
) -> Route:
    """`keys` are the weights of the provider's credentials."""
    credentials = tuple(
        UsableCredential(id=f"{name}-{n}", label=str(n), weight=key, parts={"secret": Secret("s")})
        for n, key in enumerate(keys)
    )
    source = Source(id=name, name=name, kind=KINDS[kind], base_url=None, region=None, credentials=credentials)
    return Route(id=f"route-{name}", source=source, upstream_model="m", weight=weight, priority=priority)


def a_model(*routes: Route) -> CallableModel:
    return CallableModel(
        name="m", type="chat", aliases=(), routes=tuple(sorted(routes, key=lambda r: r.priority)), created_at=0
    )


class Hall:
    def __init__(self) -> None:
        self.now = 0.0
        self.health = Health(lambda: self.now)
        self.router = Router(self.health)

    def first(self, model: CallableModel) -> Candidate:
        return next(self.router.candidates(model, CHAT))

    def order(self, model: CallableModel) -> list[str]:
        return [candidate.credential.id for candidate in self.router.candidates(model, CHAT)]


@pytest.fixture
def hall() -> Hall:
    return Hall()


def test_weights_of_three_and_one_go_a_a_b_a(hall: Hall) -> None:
    model = a_model(a_route("a", weight=3), a_route("b", weight=1))

    assert "".join(hall.first(model).route.source.name for _ in range(8)) == "aabaaaba"


@given(st.lists(st.integers(1, 20), min_size=1, max_size=6))
def test_in_every_round_each_has_exactly_its_share(weights: list[int]) -> None:
    hall = Hall()
    model = a_model(*(a_route(f"p{n}", weight=weight) for n, weight in enumerate(weights)))

    for _ in range(2):
        chosen = Counter(hall.first(model).route.source.name for _ in range(sum(weights)))
        assert chosen == {f"p{n}": weight for n, weight in enumerate(weights)}


def test_credentials_of_one_provider_take_turns(hall: Hall) -> None:
    model = a_model(a_route("a", keys=(2, 1)))

    assert Counter(hall.first(model).credential.id for _ in range(9)) == {"a-0": 6, "a-1": 3}


def test_a_lower_priority_is_tried_only_after_all_of_the_higher(hall: Hall) -> None:
    model = a_model(a_route("late", priority=2, weight=1000), a_route("a", keys=(1, 1)), a_route("b", priority=1))

    assert hall.order(model) in (["a-0", "a-1", "b-0", "late-0"], ["a-1", "a-0", "b-0", "late-0"])


def test_weight_zero_is_out_unless_all_are(hall: Hall) -> None:
    assert hall.order(a_model(a_route("a", weight=0), a_route("b"))) == ["b-0"]
    assert set(hall.order(a_model(a_route("a", weight=0), a_route("b", weight=0)))) == {"a-0", "b-0"}


def test_who_rests_is_passed_over_also_when_it_begins_to_rest_on_the_way(hall: Hall) -> None:
    model = a_model(a_route("a", keys=(1, 1)), a_route("b", priority=1))
    hall.health.rest("a-0", EVERY_MODEL, 60, is_limited=True)
    assert hall.order(model) == ["a-1", "b-0"]

    candidates = hall.router.candidates(model, CHAT)
    assert next(candidates).credential.id == "a-1"
    hall.health.rest("b-0", "m", 60, is_limited=True)
    assert list(candidates) == []


def test_after_the_breakers_time_only_one_call_gets_the_candidate(hall: Hall) -> None:
    model = a_model(a_route("a"))
    for _ in range(5):
        hall.health.failed("a-0", "m")
    assert hall.order(model) == []
    hall.now += 15

    candidate = hall.first(model)
    hall.health.begin(candidate.credential.id, "m")

    assert hall.order(model) == []


def test_with_nobody_left_the_error_says_why_and_when(hall: Hall) -> None:
    model = a_model(a_route("a"), a_route("b"))
    hall.health.rest("a-0", "m", 30, is_limited=True)
    hall.health.rest("b-0", "m", 7, is_limited=False)
    limited = hall.router.why_none(model, CHAT)
    assert isinstance(limited, ProviderLimited) and limited.retry_after_seconds == 8

    hall.now += 100
    for credential in ("a-0", "b-0"):
        hall.health.rest(credential, "m", 5, is_limited=False)
    failing = hall.router.why_none(model, CHAT)
    assert isinstance(failing, NoRoute) and failing.retry_after_seconds == 6

    assert isinstance(hall.router.why_none(a_model(), CHAT), NoRoute)
    assert isinstance(hall.router.why_none(a_model(a_route("a", keys=())), CHAT), NoRoute)
    assert isinstance(hall.router.why_none(a_model(a_route("d", kind="deepseek")), BY_PATH["/embeddings"]), NotServed)


def test_the_memory_of_turns_is_bounded(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.gateway.routing._MAX_MEMORY", 100)

    for n in range(500):
        hall.first(a_model(a_route(f"a{n}"), a_route(f"b{n}")))

    assert len(hall.router._turns) <= 102


def test_the_preferred_credential_goes_first_within_its_priority(hall: Hall) -> None:
    model = a_model(
        a_route("a", keys=(100, 100, 100)), a_route("b", keys=(100, 100)), a_route("c", priority=1, keys=(100,))
    )

    for _ in range(5):
        order = [one.credential.id for one in hall.router.candidates(model, CHAT, "b-1")]
        assert order[0] == "b-1" and order[1] == "b-0" and order[-1] == "c-0"
        assert sorted(order[2:5]) == ["a-0", "a-1", "a-2"]
    assert [one.credential.id for one in hall.router.candidates(model, CHAT, "c-0")][-1] == "c-0"


def test_a_preferred_credential_that_rests_or_is_gone_changes_nothing(hall: Hall) -> None:
    model = a_model(a_route("a", keys=(100, 100)))
    hall.health.rest("a-0", EVERY_MODEL, 60, is_limited=True)

    assert [one.credential.id for one in hall.router.candidates(model, CHAT, "a-0")] == ["a-1"]
    assert [one.credential.id for one in hall.router.candidates(model, CHAT, "gone")] == ["a-1"]
