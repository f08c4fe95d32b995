"""What AIGNE's routes tell of models, teams and calls."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import update

from app.base import clock
from app.domain.billing import grants
from app.domain.calls import history
from app.domain.calls.models import Call
from app.domain.catalog import settings
from app.domain.identity import teams
from tests.emulators.handle import Upstream
from tests.hubs import HUB_KEY, RunningHub, client, described, running_hub, until

Json = dict[str, Any]

OTHER_KEY = "hk-test-other-0123456789abcdef0123456789abcdef"
MODELS = {
    "openai/gpt-4o-mini": "one/gpt-4o-mini",
    "openai/text-embedding-3-small": "one/text-embedding-3-small",
    "openai/gpt-image-1": "one/gpt-image-1",
    "speech": "one/gpt-4o-mini-tts",
    "chat": "one/gpt-4o-mini",
    "openai/down": "one/fault-500",
}


@pytest.fixture
async def hub(hub_environ: dict[str, str], upstream: Upstream) -> AsyncIterator[RunningHub]:
    file = described(upstream, models=MODELS)
    file["teams"].append({"name": "other", "keys": [{"name": "k", "secret": OTHER_KEY, "models": ["openai/gpt*"]}]})
    async with running_hub(hub_environ, file) as started:
        yield started


async def call(hub: RunningHub, model: str = "openai/gpt-4o-mini", project: str | None = None, text: str = "a") -> None:
    body = {"input": {"messages": [{"role": "user", "content": text}], "modelOptions": {"model": model}}}
    headers = {"x-aigne-hub-client-did": project} if project else {}
    await hub.http.post("/api/v2/chat", json=body, headers=headers)
    await hub.calls()


async def got(hub: RunningHub, path: str) -> Any:
    answer = await hub.http.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.databases("sqlite")
async def test_the_list_of_models_names_what_can_be_called_and_nothing_of_the_providers(hub: RunningHub) -> None:
    async with client(hub.root, None) as anybody:
        answer = await anybody.get("/api/ai/models")

    entries = {entry["key"]: entry for entry in answer.json()}
    assert {key: entry["type"] for key, entry in entries.items()} == {
        "chat": "chat",
        "openai/down": "chat",
        "openai/gpt-4o-mini": "chat",
        "openai/gpt-image-1": "image_generation",
        "openai/text-embedding-3-small": "embedding",
    }
    entry = entries["openai/gpt-4o-mini"]
    assert (entry["provider"], entry["model"], entry["providerDisplayName"]) == ("openai", "gpt-4o-mini", "OpenAI")
    assert (entry["input_credits_per_token"], entry["status"]) == ("0", {"available": True})
    # A client writes aignehub/<provider>/<model> and sends what follows the first slash; that must be this model again.
    assert (entries["chat"]["provider"], entries["chat"]["model"]) == ("aignehub", "chat")
    await call(hub, "aignehub/chat")
    assert (await hub.last_call()).model == "chat"
    assert "sk-" not in answer.text and "127.0.0.1" not in answer.text


@pytest.mark.databases("sqlite")
async def test_a_key_sees_the_models_that_it_may_call(hub: RunningHub) -> None:
    async with client(hub.root, OTHER_KEY) as other:
        entries = (await other.get("/api/ai-providers/models?type=chat")).json()
        grouped = (await other.get("/api/ai-providers/chat/models")).json()

    assert [entry["key"] for entry in entries] == ["openai/gpt-4o-mini"]
    assert [entry["model"] for entry in grouped] == ["gpt-4o-mini", "gpt-image-1"]
    assert grouped[0]["rates"][0]["inputRate"] == "0" and grouped[0]["providers"][0]["name"] == "openai"


@pytest.mark.databases("sqlite")
async def test_prices_are_texts_of_credits_for_one_token_or_picture(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    file: Json = described(upstream, models=MODELS) | {"billing": "credits"}
    by_name = {model["model"]: model for model in file["models"]}
    by_name["openai/gpt-4o-mini"] |= {"price": {"input": "0.15", "output": "0.6"}}
    by_name["openai/gpt-image-1"] |= {"price": {"images": "0.04"}}
    by_name["chat"] |= {"cost": {"input": "1", "output": "2"}, "price": {"markup_percent": "50"}}
    async with running_hub(hub_environ, file) as hub:
        entries = {entry["key"]: entry for entry in await got(hub, "/api/ai/models")}

    rates = {
        key: (entry["input_credits_per_token"], entry["output_credits_per_token"]) for key, entry in entries.items()
    }
    assert rates["openai/gpt-4o-mini"] == ("0.00000015", "0.0000006")
    assert rates["openai/gpt-image-1"] == ("0", "0.04")
    assert rates["chat"] == ("0.0000015", "0.000003")


@pytest.mark.databases("sqlite")
async def test_the_status_of_a_model_is_always_an_answer(hub: RunningHub) -> None:
    for path, wanted in (
        ("/api/v2/status?model=openai/gpt-4o-mini", {"available": True}),
        ("/api/v2/status?model=aignehub/openai/gpt-4o-mini", {"available": True}),
    ):
        assert await got(hub, path) == wanted
    missing = await got(hub, "/api/v2/status?model=openai/none")
    assert (missing["available"], missing["code"]) == (False, 404)
    async with client(hub.root, None) as anybody:
        assert (await anybody.get("/api/v2/status?model=openai/gpt-4o-mini")).json() == {"available": True}
        assert (await anybody.get("/api/v1/status")).json() == {"available": True}
    async with client(hub.root, "hk-wrong") as wrong:
        assert (await wrong.get("/api/v2/status?model=openai/gpt-4o-mini")).json()["code"] == 401


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "path",
    [
        *("/api/ai-providers/models", "/api/ai-providers/chat/models", "/api/user/info", "/api/user/credit/balance"),
        *("/api/user/model-calls", "/api/user/model-calls/export", "/api/user/usage-stats", "/api/usage/quota"),
        *("/api/usage/trends", "/api/usage/projects", "/api/usage/projects/group-trends", "/api/user/credit/grants"),
    ],
)
async def test_lists_of_a_team_need_its_key(hub: RunningHub, path: str) -> None:
    async with client(hub.root, None) as anybody:
        assert (await anybody.get(path)).status_code == 401


@pytest.mark.databases("sqlite")
async def test_who_is_connected_has_no_credits_where_the_hub_does_not_bill_in_them(hub: RunningHub) -> None:
    told = await got(hub, "/api/user/info")

    assert told["user"]["fullName"] == "acme"
    assert (told["enableCredit"], told["creditBalance"], told["paymentLink"]) == (False, None, None)
    assert told["profileLink"] == f"{hub.root}/"
    assert (await got(hub, "/api/user/credit/balance"))["balance"] == "0"


async def test_credits_that_were_granted_are_told_in_both_units(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    file: Json = described(upstream, models=MODELS) | {"billing": "credits"}
    async with running_hub(hub_environ, file) as hub:
        async with hub.db.writing() as session:
            team = await teams.get_by_name(session, "acme")
            for amount in (1_500_000_000, 500_000_000):
                await grants.grant(session, team_id=team.id, amount_nano=amount, source="test", reason="a gift")
            await grants.deduct(session, team_id=team.id, amount_nano=1_600_000_000, reason="too much", actor="test")
            await settings.put(session, "purchase_link", "https://example.com/buy")
        await until(lambda: hub.gateway.snapshots.current.purchase_link)

        info = await got(hub, "/api/user/info")
        balance = await got(hub, "/api/user/credit/balance")
        page = await got(hub, "/api/user/credit/grants")
        second = await got(hub, "/api/user/credit/grants?pageSize=1&page=2")
        moves = await got(hub, "/api/user/credit/transactions?pageSize=2")
        quota = await got(hub, "/api/usage/quota")
        link = await got(hub, "/api/user/credit/payment-link")

    assert info["enableCredit"] is True and info["paymentLink"] == link == "https://example.com/buy"
    assert info["creditBalance"] == {"balance": "0.4", "total": "2", "grantCount": 2, "pendingCredit": "0"}
    assert (balance["balance"], balance["total"], balance["currency"]["decimal"]) == ("4000000000", "20000000000", 10)
    assert [(row["amount"], row["remaining_amount"], row["status"], row["category"]) for row in page["list"]] == [
        ("5000000000", "4000000000", "granted", "promotional"),
        ("15000000000", "0", "depleted", "promotional"),
    ]
    assert (second["count"], second["list"]) == (2, page["list"][1:])
    assert (moves["count"], [(row["type"], row["credit_amount"]) for row in moves["list"]]) == (
        3,
        [("deduct", "16000000000"), ("grant", "-5000000000")],
    )
    assert (quota["total"], quota["remaining"], quota["used"]) == ("2", "0.4", "1.6")
    assert quota["estimatedDaysRemaining"] == 999, "nothing was spent on calls"


async def test_calls_are_listed_newest_first_and_only_those_of_the_team(hub: RunningHub) -> None:
    await call(hub, project="one")
    await call(hub, "openai/down", project="two")
    await call(hub)
    async with client(hub.root, OTHER_KEY) as other:
        foreign = (await other.get("/api/user/model-calls")).json()

    first = await got(hub, "/api/user/model-calls?pageSize=2")
    second = await got(hub, "/api/user/model-calls?pageSize=2&page=2")

    assert (foreign["count"], foreign["list"]) == (0, [])
    assert (first["count"], first["paging"]) == (3, {"page": 1, "pageSize": 2})
    rows = first["list"] + second["list"]
    assert [row["appDid"] for row in rows] == ["", "two", "one"]
    assert [(row["model"], row["status"]) for row in rows] == [
        ("gpt-4o-mini", "success"),
        ("down", "failed"),
        ("gpt-4o-mini", "success"),
    ]
    assert rows[0]["usageMetrics"]["inputTokens"] > 0 and rows[0]["type"] == "chatCompletion"
    assert rows[1]["errorReason"]


async def test_calls_are_found_by_what_they_were(hub: RunningHub) -> None:
    await call(hub, project="one")
    await call(hub, "openai/down")
    await hub.http.post(
        "/api/v2/embeddings", json={"input": "a", "dimensions": 4, "model": "openai/text-embedding-3-small"}
    )
    [vectors] = [row for row in await hub.calls() if row.endpoint == "aigne.embeddings"]
    now = clock.now_us() // 1_000_000

    for query, count in (
        ("status=success", 2),
        ("status=failed", 1),
        ("type=embedding", 1),
        ("type=chatCompletion", 2),
        ("model=4o-mi", 1),
        ("model=%25", 0),
        (f"search={vectors.id}", 1),
        ("search=openai/", 3),
        ("appDid=one", 1),
        ("providerId=one", 3),
        ("providerId=two", 0),
        (f"startTime={now - 60}&endTime={now + 60}", 3),
        (f"endTime={now - 60}", 0),
        ("minDurationSeconds=60", 0),
    ):
        found = await got(hub, f"/api/user/model-calls?{query}")
        assert (found["count"], len(found["list"])) == (count, count), query


async def test_a_long_history_is_counted_and_paged_up_to_a_bound(
    hub: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await call(hub)
    monkeypatch.setattr(history, "MOST_COUNTED", 2)

    first = await got(hub, "/api/user/model-calls?pageSize=1")
    last = await got(hub, "/api/user/model-calls?pageSize=1&page=3")

    assert (first["count"], len(first["list"]), last["list"]) == (2, 1, [])


@pytest.mark.databases("sqlite")
async def test_an_expired_key_is_told_nothing(
    hub_environ: dict[str, str], upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [{"name": "ci", "secret": HUB_KEY, "expires": "2099-01-01"}]
    async with running_hub(hub_environ, described(upstream, models=MODELS, keys=keys)) as hub:
        before = await hub.http.get("/api/user/info")
        monkeypatch.setattr(clock, "now", lambda: datetime(2100, 1, 1, tzinfo=UTC))
        after = await hub.http.get("/api/user/info")

    assert (before.status_code, after.status_code) == (200, 401)
    assert after.json()["error"]["code"] == "api_key_expired"


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("query", "status", "param"),
    [
        ("allUsers=true", 403, "allUsers"),
        ("page=0", 400, "page"),
        ("pageSize=101", 400, "pageSize"),
        ("startTime=soon", 400, "startTime"),
        ("status=odd", 400, "status"),
    ],
)
async def test_a_query_that_is_wrong_is_told_so(hub: RunningHub, query: str, status: int, param: str) -> None:
    answer = await hub.http.get(f"/api/user/model-calls?{query}")

    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


async def test_what_calls_were_charged_is_told_of_each_and_summed_to_the_last_digit(hub: RunningHub) -> None:
    for project in ("one", "two", "two"):
        await call(hub, project=project)
    charged = {"one": (2_000_000_001, 500_000_000), "two": (250_000_000, 0)}
    async with hub.db.writing() as session:
        for project, (charge, refunded) in charged.items():
            amounts = {"charge_nano": charge, "refunded_nano": refunded}
            await session.execute(update(Call).where(Call.project == project).values(amounts))

    rows = (await hub.http.get("/api/user/model-calls")).text
    table = list(csv.DictReader(io.StringIO((await hub.http.get("/api/user/model-calls/export")).text)))
    by_credits = (await got(hub, "/api/usage/projects?sortBy=totalCredits"))["projects"]
    by_calls = (await got(hub, "/api/usage/projects"))["projects"]
    trends = (await hub.http.get("/api/usage/projects/trends?appDid=one&timeRange=7")).text

    assert rows.count('"credits":0.25,') == 2 and rows.count('"credits":1.500000001,') == 1
    assert [row["credits"] for row in table] == ["0.25", "0.25", "1.500000001"]
    assert [(row["appDid"], row["totalCredits"]) for row in by_credits] == [("one", 1.500000001), ("two", 0.5)]
    assert [row["appDid"] for row in by_calls] == ["two", "one"]
    assert '"totalCredits":1.500000001,' in trends


@pytest.mark.databases("sqlite")
async def test_an_export_is_a_table_that_no_spreadsheet_runs(hub: RunningHub) -> None:
    await call(hub, project='=HYPERLINK("https://evil")')

    answer = await hub.http.get("/api/user/model-calls/export")

    [row] = list(csv.DictReader(io.StringIO(answer.text)))
    assert answer.headers["content-disposition"].startswith('attachment; filename="model-calls-')
    assert row["appDid"] == '\'=HYPERLINK("https://evil")'
    assert (row["model"], row["status"], row["credits"]) == ("gpt-4o-mini", "success", "0")
    assert int(row["totalUsage"]) == int(row["inputTokens"]) + int(row["outputTokens"])


async def test_usage_is_summed_by_time_by_project_and_by_model(hub: RunningHub) -> None:
    for project in ("one", "one", None):
        await call(hub, project=project)
    await call(hub, "openai/down", project="one")

    hours = await got(hub, "/api/usage/trends?timeRange=1")
    days = await got(hub, "/api/usage/trends?timeRange=3&timezoneOffset=-480")
    projects = await got(hub, "/api/usage/projects")
    one = await got(hub, "/api/usage/projects/trends?appDid=one&timeRange=1")
    grouped = await got(hub, "/api/usage/projects/group-trends?timeRange=7")
    listed = await got(hub, "/api/usage/projects/calls?appDid=one&status=success")
    stats = await got(hub, f"/api/user/usage-stats?startTime={clock.now_us() // 1_000_000 - 60}")

    assert len(hours["trends"]) in (25, 26) and len(days["trends"]) in (3, 4, 5)
    assert sum(bucket["calls"] for bucket in hours["trends"]) == 4
    assert all(bucket["timestamp"] % 86_400 == 57_600 for bucket in days["trends"]), "midnight in UTC+8"
    last = [bucket for bucket in days["trends"] if bucket["calls"]]
    assert sum(bucket["successCalls"] for bucket in last) == 3
    found = {row["appDid"]: row for row in projects["projects"]}
    assert {name: (row["totalCalls"], row["successRate"]) for name, row in found.items()} == {
        "one": (3, 66.67),
        "": (1, 100.0),
    }
    assert sum(bucket["calls"] for bucket in one["trends"]) == 3
    assert {name for bucket in grouped["trends"] for name in bucket["byProject"]} == {"one", ""}
    assert (listed["count"], grouped["granularity"]) == (2, "day")
    assert stats["modelStats"]["totalModelCount"] == 2
    assert stats["modelStats"]["list"][0]["totalCalls"] == 3
