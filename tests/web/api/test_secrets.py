"""Known secrets go in through every route; no answer, log, metric or table shows them.

And what a call said is stored only for teams that asked for it: sealed, and for as long as they said.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from app.base.clock import now_us
from app.base.config import Settings
from app.base.db import Database
from app.base.vault import Place
from app.domain.calls import upkeep
from app.domain.calls.models import Call, CallContent
from app.ops.tables import METADATA
from tests.emulators.faults import ORGANISATION
from tests.emulators.handle import Upstream
from tests.faults.server import serving
from tests.hubs import CHAT, HUB_KEY, client, described, running_hub, until_given

PROVIDER_KEY = "sk-canaryProviderKey-0123456789abcdef"
MASTER_KEY = "c0ffee" * 10 + "beef"
METRICS_TOKEN = "canary-metrics-token-0123456789"
PROMPT = "canary prompt: the launch is on tuesday"
IDEMPOTENCY_KEY = "canary-idempotency-key"
INSIDE_IDS = (ORGANISATION, "proj_Emulated1", "10.1.2.3")

FAULTS = [
    "fault-400", "fault-401", "fault-403", "fault-404", "fault-429", "fault-429-quota", "fault-500", "fault-503",
    "fault-content-policy", "fault-leaky-error", "fault-leaky-error-500", "fault-leaky-error-429", "fault-html-502",
    "fault-redirect", "fault-close-before-answer", "fault-empty-200", "fault-wrong-type", "fault-cut-after-4",
    "fault-reset-after-4", "slow-20+fault-error-mid-stream-after-4", "fault-garbage", "fault-gzip", "fault-no-usage",
    "fault-negative-usage", "gpt-4o-mini",
]  # fmt: skip


def every_fault(upstream: Upstream, **team: Any) -> dict[str, Any]:
    """A provider for each: one that is disabled or rests must not keep the next from being asked."""
    providers = {f"p{n}": [f"{PROVIDER_KEY}{n:02d}"] for n in range(len(FAULTS))}
    models = {f"chat-{n}": f"p{n}/{fault}" for n, fault in enumerate(FAULTS)}
    return described(upstream, providers=providers, models=models, team=team)


async def go_everywhere(http: httpx.AsyncClient) -> list[httpx.Response]:
    messages = [{"role": "user", "content": PROMPT}]
    answers: list[httpx.Response] = []
    for n in range(len(FAULTS)):
        for is_streamed in (True, False):
            body = {"model": f"chat-{n}", "messages": messages, "stream": is_streamed}
            answers.append(await http.post(CHAT, json=body, headers={"idempotency-key": f"{IDEMPOTENCY_KEY}-{n}"}))
    bodies: list[Any] = [
        {"model": PROMPT, "messages": messages},
        {"messages": messages},
        {"model": "chat-0", "messages": PROMPT},
    ]
    answers += [await http.post(CHAT, json=body) for body in bodies]
    answers += [
        await http.post(CHAT, content=PROMPT, headers={"content-type": kind})
        for kind in ("application/json", "text/plain")
    ]
    paths = ("/v1/models", "/v1/models/chat-0", "/v1/nothing", "/readyz", "/healthz", "/metrics")
    answers += [await http.get(path) for path in paths]
    answers.append(await http.get("/metrics", headers={"authorization": f"Bearer {METRICS_TOKEN}"}))
    async with client(str(http.base_url), f"{HUB_KEY}x") as stranger:
        answers.append(await stranger.post(CHAT, json=bodies[0]))
    return answers


async def everything_stored(settings: Settings, db: Database) -> bytes:
    """All rows of all tables as text, and on SQLite the files as they lie there."""
    async with db.reading() as session:
        rows = [repr((await session.execute(select(table))).all()) for table in METADATA.sorted_tables]
    stored = "\n".join(rows).encode()
    if settings.database_url is None:
        stored += b"".join(path.read_bytes() for path in sorted(settings.data_dir.glob("hub.db*")))
    return stored


async def test_no_secret_and_no_prompt_comes_out_anywhere(hub_environ: dict[str, str], upstream: Upstream) -> None:
    secrets = {"HUB_MASTER_KEY": MASTER_KEY, "HUB_METRICS_TOKEN": METRICS_TOKEN, "HUB_LOG_LEVEL": "debug"}
    async with serving(hub_environ | secrets, every_fault(upstream)) as server:
        async with client(server.root) as http:
            answers = await go_everywhere(http)
        assert {200, 400, 401, 404, 415, 429, 502, 503} <= {answer.status_code for answer in answers}
        await server.ended_calls(2 * len(FAULTS))
        stored = await everything_stored(server.settings, server.db)
        await server.close()
        told = b"\n".join(repr(answer.headers).encode() + answer.content for answer in answers)
        written = server.log.read_bytes()

    assert written.count(b"call.settled") == 2 * len(FAULTS)
    master = bytes.fromhex(MASTER_KEY)
    forms = [MASTER_KEY, base64.b64encode(master).decode(), master.decode("latin-1")]
    for place, output in (("answers", told), ("tables", stored), ("log", written)):
        for secret in [PROVIDER_KEY, HUB_KEY, METRICS_TOKEN, *forms]:
            assert secret.encode("latin-1") not in output, f"{secret[:12]}… is in the {place}"
        # Masked forms show a key's head.
        assert b"sk-canar" not in output, place
        for inside in INSIDE_IDS:
            assert inside.encode() not in output, f"{inside} is in the {place}"
    for place, output in (("tables", stored), ("log", written)):
        assert PROMPT.encode() not in output and b"launch" not in output, place
        assert IDEMPOTENCY_KEY.encode() not in output, place


async def test_a_refusal_that_quotes_the_prompt_is_told_and_not_kept(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with running_hub(hub_environ, described(upstream)) as hub:
        error = {"message": f"Invalid value: '{PROMPT}'.", "type": "invalid_request_error", "code": "invalid_value"}
        upstream.script({"status": 400, "body": {"error": error}})

        answer = await hub.chat()

        assert answer.status_code == 400 and PROMPT in answer.json()["error"]["message"]
        assert (await hub.last_call()).error_code == "invalid_value"
        assert PROMPT.encode() not in await everything_stored(hub.settings, hub.db)


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_team_that_keeps_its_contents_can_read_them_and_nobody_else(
    hub_environ: dict[str, str], upstream: Upstream, is_streamed: bool
) -> None:
    async with running_hub(hub_environ, described(upstream, team={"keep_content_days": 30})) as hub:
        body = {"model": "chat", "messages": [{"role": "user", "content": PROMPT}], "stream": is_streamed}
        answer = await hub.http.post(CHAT, json=body)
        call = await hub.last_call()

        async with hub.db.reading() as session:
            content = (await session.scalars(select(CallContent))).one()
        assert PROMPT.encode() not in await everything_stored(hub.settings, hub.db)
        vault = hub.gateway.shared.vault
        request = vault.open(content.sealed_request, Place("call_content", "sealed_request", call.id, call.team_id))
        kept = vault.open(content.sealed_answer, Place("call_content", "sealed_answer", call.id, call.team_id))
        assert json.loads(request.reveal()) == body
        assert kept.reveal().split("data: [DONE]")[0].strip() == answer.text.split("data: [DONE]")[0].strip()
        assert abs(content.expires_us - now_us() - 30 * 86_400 * 1_000_000) < 60_000_000

        async with hub.db.writing() as session:
            await session.execute(update(CallContent).values(expires_us=now_us() - 1))
            assert await upkeep.forget_expired(session) == 1
        async with hub.db.reading() as session:
            assert (await session.scalars(select(CallContent))).all() == []
            assert (await session.scalars(select(Call))).one().id == call.id


async def test_a_team_that_did_not_ask_has_no_contents(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with running_hub(hub_environ, described(upstream)) as hub:
        await hub.chat()
        await hub.stream()
        assert len(await hub.calls()) == 2

        async with hub.db.reading() as session:
            assert (await session.scalars(select(CallContent))).all() == []


@pytest.mark.databases("sqlite")
async def test_metrics_are_for_this_machine_or_for_the_token(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with running_hub(hub_environ, described(upstream)) as hub:
        await hub.chat()

        async def counted() -> bool:
            return (
                'hub_calls_total{endpoint="chat.completions",provider="one",status="succeeded"} 1.0'
                in (await hub.http.get("/metrics")).text
            )

        assert await until_given(counted)
        assert (await hub.http.get("/metrics", headers={"x-forwarded-for": "203.0.113.7"})).status_code == 401
    async with running_hub(hub_environ | {"HUB_METRICS_TOKEN": METRICS_TOKEN}, described(upstream)) as hub:
        for wrong in ("x", "Bearer", f"Bearer {METRICS_TOKEN}x", METRICS_TOKEN[:-1]):
            assert (await hub.http.get("/metrics", headers={"authorization": wrong})).status_code == 401
        assert (await hub.http.get("/metrics", headers={"authorization": f"Bearer {METRICS_TOKEN}"})).status_code == 200
