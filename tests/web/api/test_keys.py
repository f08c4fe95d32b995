"""What API keys can do, over HTTP: where and for what they work, rolling, last use, keys of keys, leaked keys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from app.base import clock
from app.base.secret import Secret
from app.domain.identity import api_keys, child_keys
from app.domain.identity.models import ApiKey, AuditEvent
from app.gateway import last_uses
from app.gateway.snapshot import SnapshotKeeper
from app.ops import house
from tests.emulators.handle import Upstream
from tests.hubs import CHAT, HELLO, HUB_KEY, RunningHub, client, described, running_hub, until_given

MODELS = {"chat": "one/gpt-4o-mini", "lab/x": "one/gpt-4o-mini", "lab/embed": "one/text-embedding-3-small"}
OTHER_KEY = "hk-other-0123456789abcdef0123456789abcdef"
KEYS = [{"name": "ci", "secret": HUB_KEY}, {"name": "other", "secret": OTHER_KEY}]


@pytest.fixture
async def hub(hub_environ: dict[str, str], upstream: Upstream) -> AsyncIterator[RunningHub]:
    environ = hub_environ | {"HUB_TRUSTED_PROXIES": "127.0.0.0/8"}
    async with running_hub(environ, described(upstream, models=MODELS, keys=KEYS)) as running:
        yield running


async def _row(hub: RunningHub, name: str = "ci") -> ApiKey:
    async with hub.db.reading() as session:
        return next(row for row in await api_keys.listed(session) if row.name == name)


async def _set(hub: RunningHub, name: str = "ci", **fields: Any) -> None:
    """Change the row, and let the hub know it."""
    async with hub.db.writing() as session:
        row = next(row for row in await api_keys.listed(session) if row.name == name)
        for field, value in fields.items():
            setattr(row, field, value)
    await hub.gateway.snapshots.refresh()


async def _mint(hub: RunningHub, key: str | None = None, **fields: Any) -> httpx.Response:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    return await hub.http.post("/v1/keys", json={"name": "agent", **fields}, headers=headers)


async def _chat(hub: RunningHub, key: str, model: str = "chat") -> tuple[int, str | None]:
    """Status and code of the error of one chat with that key."""
    answer = await hub.chat(model, headers={"authorization": f"Bearer {key}"})
    return answer.status_code, None if answer.is_success else answer.json()["error"]["code"]


async def _within_a_second(look: Callable[[], Awaitable[bool]]) -> None:
    await until_given(look, 1.0)


async def test_a_denied_model_and_a_task_that_is_not_allowed_are_refused(hub: RunningHub) -> None:
    await _set(hub, denied_models=["lab/*"], endpoints=["conversation"])

    assert (await hub.chat()).status_code == 200
    denied = await hub.chat("lab/x")
    assert (denied.status_code, denied.json()["error"]["code"]) == (403, "model_not_allowed")
    task = await hub.http.post("/v1/embeddings", json={"model": "lab/embed", "input": "x"})
    assert (task.status_code, task.json()["error"]["code"]) == (403, "endpoint_not_allowed")
    assert [model["id"] for model in (await hub.http.get("/v1/models")).json()["data"]] == ["chat"]
    assert (await hub.http.get("/v1/videos")).json()["error"]["code"] == "endpoint_not_allowed"


async def test_a_key_is_switched_off_and_on_again(hub: RunningHub) -> None:
    await _set(hub, disabled_at=clock.now())

    for answer in (await hub.chat(), await hub.http.get("/v1/models")):
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "api_key_disabled")

    await _set(hub, disabled_at=None)
    assert (await hub.chat()).status_code == 200


async def test_a_key_works_from_its_networks_alone_whatever_the_client_says(hub: RunningHub) -> None:
    await _set(hub, addresses=["192.0.2.0/24", "2001:db8::/32"])

    for forwarded in ("192.0.2.7", "::ffff:192.0.2.7", "6.6.6.6, 2001:db8::7", "192.0.2.7:1234, 127.0.0.9"):
        assert (await hub.chat(headers={"x-forwarded-for": forwarded})).status_code == 200, forwarded
    for forwarded in ("6.6.6.6", "192.0.2.7, 6.6.6.6", "::ffff:6.6.6.6", "garbage", "192.0.2.7, ,", None):
        answer = await hub.chat(headers={} if forwarded is None else {"x-forwarded-for": forwarded})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "address_not_allowed"), forwarded
    told = await hub.http.get("/v1/models", headers={"x-forwarded-for": "6.6.6.6"})
    assert told.status_code == 403 and "6.6.6.6" in told.json()["error"]["message"]


async def test_without_a_trusted_proxy_nobody_says_where_they_are(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with running_hub(hub_environ, described(upstream, keys=KEYS)) as hub:
        await _set(hub, addresses=["192.0.2.0/24"])
        await _set(hub, "other", addresses=["127.0.0.1"])

        forged = {"x-forwarded-for": "192.0.2.7", "forwarded": "for=192.0.2.7", "x-real-ip": "192.0.2.7"}
        assert (await hub.chat(headers=forged)).status_code == 403
        assert await _chat(hub, OTHER_KEY) == (200, None)


async def test_a_key_that_is_rolled_under_load_fails_not_one_call(hub: RunningHub) -> None:
    keys = {"current": HUB_KEY}
    failed: list[tuple[int, str | None]] = []
    team_id, key_id = (row := await _row(hub)).team_id, row.id
    pepper = await _pepper(hub)

    async def call() -> None:
        outcome = await _chat(hub, keys["current"])
        if outcome[0] != 200:
            failed.append(outcome)

    running: list[asyncio.Task[None]] = []
    began = time.monotonic()
    for n in range(150):
        running.append(asyncio.create_task(call()))
        if n == 50:
            async with hub.db.writing() as session:
                secret = await api_keys.roll(session, pepper, team_id, key_id, overlap_hours=1)
            # At once, while the hub does not know it yet.
            keys["current"] = secret.reveal()
        if n == 100:
            keys["current"] = HUB_KEY
        await asyncio.sleep(max(0.0, began + (n + 1) / 50 - time.monotonic()))
    await asyncio.gather(*running)

    assert failed == []


async def test_the_old_secret_stops_at_its_moment_without_a_reload(
    hub: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await _row(hub)
    pepper = await _pepper(hub)
    async with hub.db.writing() as session:
        secret = await api_keys.roll(session, pepper, row.team_id, row.id, overlap_hours=1)
    ends = clock.now_us() + 2_500_000
    await _set(hub, previous_until=clock.from_us(ends))

    async def nothing(_: SnapshotKeeper) -> bool:
        return False

    with monkeypatch.context() as standing:
        standing.setattr(SnapshotKeeper, "refresh", nothing)
        assert await _chat(hub, HUB_KEY) == (200, None) and clock.now_us() < ends
        await asyncio.sleep((ends - clock.now_us()) / 1e6)
        assert await _chat(hub, HUB_KEY) == (401, "invalid_api_key")
        assert await _chat(hub, secret.reveal()) == (200, None)

    pepper = await _pepper(hub)
    async with hub.db.writing() as session:
        last = await api_keys.roll(session, pepper, row.team_id, row.id, overlap_hours=0)
    await hub.gateway.snapshots.refresh()
    assert await _chat(hub, secret.reveal()) == (401, "invalid_api_key")
    assert await _chat(hub, last.reveal()) == (200, None)


async def test_the_last_use_is_written_once_a_minute_with_where_from_and_by_what(
    hub_environ: dict[str, str], upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_uses, "EVERY_SECONDS", 0.05)
    moment_us = 1_900_000_000 * clock.MICROSECONDS
    monkeypatch.setattr(last_uses.clock, "now_us", lambda: moment_us)
    environ = hub_environ | {"HUB_TRUSTED_PROXIES": "127.0.0.1"}
    async with running_hub(environ, described(upstream, keys=KEYS)) as hub:
        for client_name in ("first/1.0", "second/1.0"):
            await hub.http.get("/v1/models", headers={"x-forwarded-for": "192.0.2.7", "user-agent": client_name})

        async def used() -> ApiKey | None:
            row = await _row(hub)
            return row if row.used_us is not None else None

        row = await until_given(used)
        assert row.used_us == moment_us // 60_000_000 * 60_000_000
        assert (row.used_from, row.used_by) == ("192.0.2.7", "first/1.0")
        assert (await _row(hub, "other")).used_us is None

        moment_us += 60 * clock.MICROSECONDS
        await hub.http.get("/v1/models", headers={"user-agent": "third\t1"})

        async def again() -> bool:
            return (await _row(hub)).used_by == "third?1"

        await until_given(again)
        assert (await _row(hub)).used_from is None


async def test_a_key_makes_a_narrower_one_that_works_at_once(hub: RunningHub) -> None:
    made = await _mint(
        hub, models=["lab/*"], denied_models=["lab/y"], endpoints=["conversation"], expires_at="2099-01-01T00:00:00Z",
        budget={"amount": 2, "unit": "calls"},
    )  # fmt: skip

    assert made.status_code == 201, made.text
    child = made.json()
    assert (child["name"], child["models"], child["state"]) == ("ci/agent", ["lab/*"], "active")
    assert await _chat(hub, child["key"], "lab/x") == (200, None)
    assert await _chat(hub, child["key"]) == (403, "model_not_allowed")
    listed = (await hub.http.get("/v1/keys")).json()
    assert [row["id"] for row in listed["data"]] == [child["id"]] and "key" not in listed["data"][0]

    assert await _chat(hub, child["key"], "lab/x") == (200, None)
    assert await _chat(hub, child["key"], "lab/x") == (402, "budget_exceeded")
    assert (await hub.chat()).status_code == 200


async def test_what_a_child_spends_counts_in_the_budget_of_the_key_that_made_it(hub: RunningHub) -> None:
    parent = (await _mint(hub, budget={"amount": 2, "unit": "calls"})).json()["key"]
    child = (await _mint(hub, parent, name="sub")).json()["key"]

    assert [await _chat(hub, child) for _ in range(2)] == [(200, None)] * 2
    await hub.calls()
    assert await _chat(hub, parent) == (402, "budget_exceeded")
    assert await _chat(hub, child) == (402, "budget_exceeded")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"models": ["*"]}, "models"),
        ({"models": ["lab/x", "openai/*"]}, "models"),
        ({"endpoints": ["conversation", "image"]}, "endpoints"),
        ({"addresses": ["0.0.0.0/0"]}, "addresses"),
        ({"addresses": ["192.0.0.0/16"]}, "addresses"),
        ({"expires_at": "2100-01-01T00:00:00Z"}, "expires_at"),
    ],
)
async def test_a_key_cannot_make_one_that_may_more(hub: RunningHub, fields: dict[str, Any], param: str) -> None:
    ends = clock.from_us(4_000_000_000 * clock.MICROSECONDS)
    await _set(hub, models=["lab/*"], endpoints=["conversation"], addresses=["192.0.2.0/24"], expires_at=ends)
    hub.http.headers["x-forwarded-for"] = "192.0.2.7"

    refused = await _mint(hub, **fields)

    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "key_not_narrower"), refused.text
    assert refused.json()["error"]["param"] == param
    # Whatever it leaves out it has from above.
    made = (await _mint(hub)).json()
    assert (made["models"], made["expires_at"]) == (["lab/*"], "2096-10-02T07:06:40Z")
    assert await _chat(hub, made["key"], "chat") == (403, "model_not_allowed")
    outside = await hub.chat("lab/x", headers={"authorization": f"Bearer {made['key']}", "x-forwarded-for": "6.6.6.6"})
    assert outside.json()["error"]["code"] == "address_not_allowed"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"name": "a/b"}, "name"),
        ({"name": ""}, "name"),
        ({"name": 1}, "name"),
        ({"models": []}, "models"),
        ({"endpoints": ["chat"]}, "endpoints"),
        ({"addresses": ["here"]}, "addresses"),
        ({"expires_at": "2099-01-01T00:00:00"}, "expires_at"),
        ({"expires_at": 10**15}, "expires_at"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
        ({"budget": {"amount": "0", "unit": "cost"}}, "budget.amount"),
        ({"budget": {"amount": "1", "unit": "euros"}}, "budget.unit"),
        ({"team_id": "x"}, None),
    ],
)
async def test_a_wish_that_cannot_be_is_told_by_its_field(
    hub: RunningHub, fields: dict[str, Any], param: str | None
) -> None:
    refused = await _mint(hub, **fields)

    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param), refused.text
    assert (await hub.http.get("/v1/keys")).json()["data"] == []


async def test_a_tree_of_keys_ends_within_a_second_with_the_key_above_it(hub: RunningHub) -> None:
    line = [HUB_KEY]
    for n in range(4):
        line.append((await _mint(hub, line[-1], name=f"k{n}")).json()["key"])
    tree = line[1:]
    too_deep = await _mint(hub, line[-1], name="more")
    assert (too_deep.status_code, too_deep.json()["error"]["code"]) == (403, "key_limit_reached")
    assert [await _chat(hub, key) for key in tree] == [(200, None)] * 4

    async def all_are(outcome: tuple[int, str | None]) -> bool:
        return [await _chat(hub, key) for key in tree] == [outcome] * len(tree)

    async with hub.db.writing() as session:
        row = next(row for row in await api_keys.listed(session) if row.name == "ci")
        await api_keys.set_enabled(session, row.team_id, row.id, is_enabled=False)
    await _within_a_second(lambda: all_are((401, "api_key_disabled")))
    async with hub.db.writing() as session:
        await api_keys.set_enabled(session, row.team_id, row.id, is_enabled=True)
    await _within_a_second(lambda: all_are((200, None)))

    async with hub.db.writing() as session:
        assert await api_keys.revoke(session, row.team_id, row.id)
    await _within_a_second(lambda: all_are((401, "invalid_api_key")))

    # Even if the key above works again under another secret, what it had made stays ended.
    pepper = await _pepper(hub)
    async with hub.db.writing() as session:
        await api_keys.replace_secret(
            session, pepper, row.team_id, row.id, Secret("anotherSecretOfTheSameKey0123456789")
        )
    await hub.gateway.snapshots.refresh()
    assert await all_are((401, "invalid_api_key"))


async def test_a_key_revokes_its_own_and_finds_nobody_elses(hub: RunningHub) -> None:
    mine = (await _mint(hub)).json()
    below = (await _mint(hub, mine["key"], name="sub")).json()
    foreign = (await _mint(hub, OTHER_KEY)).json()

    for id_ in (foreign["id"], below["id"], (await _row(hub, "ci")).id, (await _row(hub, "other")).id, "0" * 32, "x"):
        answer = await hub.http.delete(f"/v1/keys/{id_}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert [row["id"] for row in (await hub.http.get("/v1/keys")).json()["data"]] == [mine["id"]]

    gone = await hub.http.delete(f"/v1/keys/{mine['id']}")
    assert gone.json() == {"id": mine["id"], "object": "api_key.deleted", "deleted": True}
    assert await _chat(hub, mine["key"]) == await _chat(hub, below["key"]) == (401, "invalid_api_key")
    assert (await hub.http.get("/v1/keys")).json()["data"] == []
    assert await _chat(hub, foreign["key"]) == (200, None)
    assert (await hub.http.delete(f"/v1/keys/{mine['id']}")).status_code == 200
    async with hub.db.reading() as session:
        told = (await session.scalars(select(AuditEvent).order_by(AuditEvent.seq))).all()
    assert [(one.action, one.actor, one.object) for one in told if one.actor_kind == "key"] == [
        ("key.create", "acme/ci", "acme/ci/agent"),
        ("key.create", "acme/ci/agent", "acme/ci/agent/sub"),
        ("key.create", "acme/other", "acme/other/agent"),
        ("key.revoke", "acme/ci", "acme/ci/agent"),
    ]
    assert all(mine["key"] not in (one.after or "") for one in told)


async def test_a_key_makes_no_more_keys_than_it_may(hub: RunningHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_keys, "MAX_CHILDREN", 3)

    made = await asyncio.gather(*(_mint(hub, name=f"k{n}") for n in range(6)))

    assert sorted(answer.status_code for answer in made) == [201] * 3 + [403] * 3
    again = await _mint(hub, OTHER_KEY, name="k0")
    assert again.status_code == 201
    assert (await _mint(hub, OTHER_KEY, name="k0")).status_code == 409


async def test_leaked_keys_are_told_from_others_without_saying_whose_they_are(hub: RunningHub) -> None:
    live = (await _mint(hub)).json()["key"]
    ended = (await _mint(hub, name="ended")).json()
    await hub.http.delete(f"/v1/keys/{ended['id']}")

    answer = await hub.http.post("/v1/keys/check", json={"keys": [live, ended["key"], OTHER_KEY, "hk-ñ", ""]})

    assert [row["live"] for row in answer.json()["data"]] == [True, False, True, False, False]
    assert set(answer.json()["data"][0]) == {"index", "live"}
    async with client(hub.root, None) as stranger:
        assert (await stranger.post("/v1/keys/check", json={"keys": [live]})).status_code == 401
    for wrong in ({"keys": []}, {"keys": ["x"] * 101}, {"keys": "x"}, {}):
        assert (await hub.http.post("/v1/keys/check", json=wrong)).status_code == 400
    asked = [(await hub.http.post("/v1/keys/check", json={"keys": [live]})) for _ in range(6)]
    assert asked[-1].status_code == 429 and 1 <= int(asked[-1].headers["retry-after"]) <= 60
    assert (await hub.http.post(CHAT, json={"model": "chat", "messages": HELLO})).status_code == 200


async def _pepper(hub: RunningHub) -> bytes:
    async with house.opened(hub.settings) as opened:
        return opened.pepper
