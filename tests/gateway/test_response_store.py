"""The store behind the Responses API: who finds what, for how long, and what is left when a turn is gone."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update

from app.base.clock import now_us
from app.domain.calls.models import StoredItem, StoredResponse
from app.ops import jobs
from tests.emulators.handle import Upstream
from tests.hubs import HUB_KEY, Json, RunningHub, described, running_hub

OTHER_KEY = "hk-other-0123456789abcdef0123456789abcdef"
RESPONSES = "/v1/responses"
TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}


async def _ask(hub: RunningHub, key: str = HUB_KEY, **more: Any) -> httpx.Response:
    body = {"model": "chat", "input": "count to 3", **more}
    return await hub.http.post(RESPONSES, json=body, headers={"authorization": f"Bearer {key}"})


async def _rows(hub: RunningHub) -> tuple[int, int]:
    async with hub.db.reading() as session:
        turns = await session.scalar(select(func.count()).select_from(StoredResponse))
        items = await session.scalar(select(func.count()).select_from(StoredItem))
    return turns or 0, items or 0


def _two_teams(upstream: Upstream) -> Json:
    file = described(upstream)
    file["teams"].append({"name": "other", "keys": [{"name": "ci", "secret": OTHER_KEY}]})
    return file


async def test_a_foreign_team_finds_nothing(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with running_hub(hub_environ, _two_teams(upstream)) as hub:
        made = (await _ask(hub)).json()
        path, theirs = f"{RESPONSES}/{made['id']}", {"authorization": f"Bearer {OTHER_KEY}"}

        read = await hub.http.get(path, headers=theirs)
        listed = await hub.http.get(f"{path}/input_items", headers=theirs)
        deleted = await hub.http.delete(path, headers=theirs)
        continued = await _ask(hub, OTHER_KEY, previous_response_id=made["id"])
        named = await _ask(hub, OTHER_KEY, input=[{"type": "item_reference", "id": made["output"][0]["id"]}])

        assert [answer.status_code for answer in (read, listed, deleted, continued, named)] == [404, 404, 404, 400, 400]
        assert continued.json()["error"]["code"] == "previous_response_not_found"
        assert named.json()["error"]["code"] == "item_not_found"
        assert (await hub.http.get(path)).json()["id"] == made["id"]


async def test_what_was_said_lies_sealed(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with running_hub(hub_environ, described(upstream)) as hub:
        await _ask(hub, input="a secret of ours")
        async with hub.db.reading() as session:
            (row,) = await session.scalars(select(StoredResponse))

        assert row.sealed.startswith("v1.") and "secret" not in row.sealed
        assert row.origin == "openai" and row.previous is None


async def test_a_turn_is_gone_after_its_time(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with running_hub(hub_environ, described(upstream)) as hub:
        made = (await _ask(hub)).json()
        assert await _rows(hub) == (1, 1)
        async with hub.db.writing() as session:
            await session.execute(update(StoredResponse).values(expires_us=now_us() - 1))
            await session.execute(update(StoredItem).values(expires_us=now_us() - 1))

        assert (await hub.http.get(f"{RESPONSES}/{made['id']}")).status_code == 404
        assert (await _ask(hub, previous_response_id=made["id"])).status_code == 400
        # The hub's own loop may have been there before.
        await jobs.forget_responses(hub.db, hub.settings)
        assert await _rows(hub) == (0, 0)


async def test_a_turn_that_builds_on_a_deleted_one_is_read_but_not_continued(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with running_hub(hub_environ, described(upstream)) as hub:
        first = (await _ask(hub)).json()["id"]
        second = (await _ask(hub, previous_response_id=first)).json()["id"]
        deleted = await hub.http.delete(f"{RESPONSES}/{first}")
        continued = await _ask(hub, previous_response_id=second)

        assert deleted.json() == {"id": first, "object": "response", "deleted": True}
        assert (await hub.http.get(f"{RESPONSES}/{second}")).status_code == 200
        assert (continued.status_code, continued.json()["error"]["param"]) == (400, "previous_response_id")
        assert "builds on an earlier one" in continued.json()["error"]["message"]


async def test_only_a_success_that_may_be_stored_is_stored(hub_environ: dict[str, str], upstream: Upstream) -> None:
    models = {"chat": "one/gpt-4o-mini", "broken": "one/slow-20+fault-cut-after-4"}
    async with running_hub(hub_environ, described(upstream, models=models)) as hub:
        await _ask(hub, store=False)
        await _ask(hub, input=[{"role": "robot", "content": "x"}])
        broken = await _ask(hub, model="broken", stream=True)

        assert "response.failed" in broken.text
        assert await _rows(hub) == (0, 0)


@pytest.mark.parametrize("kind", ["openai", "deepseek"])
async def test_the_history_is_put_before_the_input_once_however_many_are_asked(
    hub_environ: dict[str, str], upstream: Upstream, kind: str
) -> None:
    providers = {"one": ["sk-one-0123456789abcdef"], "two": ["sk-two-0123456789abcdef"]}
    good = {"openai": "gpt-4o-mini", "deepseek": "deepseek-chat"}[kind]
    models = {"chat": f"two/{good}", "shaky": [f"one/{good}+fault-500", f"two/{good}"]}
    file = described(upstream, providers=providers, models=models, kind=kind)
    async with running_hub(hub_environ, file) as hub:
        first = (await _ask(hub)).json()
        second = (await _ask(hub, model="shaky", previous_response_id=first["id"], input="count to 2")).json()
        sent = upstream.last(kind)["body"]
        listed = (await hub.http.get(f"{RESPONSES}/{second['id']}/input_items?order=asc")).json()

        assert second["output"][0]["content"][0]["text"] == "1 2"
        assert len(sent.get("input") or sent["messages"]) == 3
        assert [item["role"] for item in listed["data"]] == ["user", "assistant", "user"]
        assert (await hub.last_call()).attempts == 2


async def test_the_list_of_inputs_comes_in_pages(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with running_hub(hub_environ, described(upstream)) as hub:
        items = [{"role": "user", "content": f"line {n}"} for n in range(5)]
        path = f"{RESPONSES}/{(await _ask(hub, input=items)).json()['id']}/input_items"

        first = (await hub.http.get(path, params={"limit": "2"})).json()
        second = (await hub.http.get(path, params={"limit": "9", "after": first["last_id"]})).json()
        wrong = [(await hub.http.get(path, params=one)).status_code for one in ({"limit": "0"}, {"order": "up"})]

        assert [item["content"][0]["text"] for item in first["data"]] == ["line 4", "line 3"]
        assert (first["has_more"], second["has_more"], len(second["data"])) == (True, False, 3)
        assert wrong == [400, 400]
        assert (await hub.http.get(path, params={"after": "msg_no"})).json()["error"]["param"] == "after"
