"""`hub provider check` against each kind: the way to learn that a key is good differs from one to the next."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.conformance.hub import Hub
from tests.emulators.handle import Upstream
from tests.emulators.kinds import KINDS

WITH_KEYS = [kind.name for kind in KINDS if kind.needs_key]


@pytest.fixture
def bad_keys(upstream: Upstream) -> Iterator[None]:
    """The providers forget every key; afterwards they know them again."""
    upstream.set_keys(dict.fromkeys((upstream.key(kind) for kind in WITH_KEYS), None))
    yield
    upstream.set_keys(dict.fromkeys((upstream.key(kind) for kind in WITH_KEYS), ""))


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_a_good_key_is_found_good(hub: Hub, kind: str) -> None:
    told = json.loads(hub.run("provider", "check", kind, "--json"))

    assert [(row["provider"], row["is_ok"]) for row in told] == [(kind, True)]


@pytest.mark.parametrize("kind", WITH_KEYS)
def test_a_bad_key_is_found_bad_and_not_shown(hub: Hub, upstream: Upstream, bad_keys: None, kind: str) -> None:
    with pytest.raises(AssertionError, match="gave 1") as caught:
        hub.run("provider", "check", kind, "--json")

    told = str(caught.value)
    assert '"is_ok": false' in told
    assert upstream.key(kind) not in told
