"""Demo data, made by the functions that the product uses: teams, people, keys, providers, models, and a past of calls.

The same numbers at every run; only ids, keys and moments differ, since the past ends now.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence

from msgspec import Struct

from app.adapters.providers import demo
from app.base.clock import MICROSECONDS, now_us
from app.base.db import Database
from app.base.errors import Conflict
from app.base.ids import new_id
from app.base.money import nano
from app.base.postgres_writer import PostgresWriter
from app.base.secret import Secret
from app.base.sqlite_writer import SqliteWriter
from app.base.usage import Usage
from app.base.writer import Step, Writer
from app.domain.calls import recorder, reports
from app.domain.catalog import credentials, deployments, providers, rates
from app.domain.identity import api_keys, teams, users
from app.ops.house import House

_SEED = 20261120
_DAYS = 14
_BATCH = 200

_TEAMS = {
    "acme": (("ada@acme.example", "admin"), ("ben@acme.example", "member")),
    "globex": (("cleo@globex.example", "admin"),),
    "initech": (("dan@initech.example", "admin"), ("eve@initech.example", "member")),
}
_KEYS = ("production", "laptop")

_LAB = "lab"
_LAB_MODELS = (
    # name, type, USD per 1M in, per 1M out
    ("lab/small", "chat", "0.15", "0.60"),
    ("lab/large", "chat", "2.50", "10"),
    ("lab/embed", "embedding", "0.02", "0"),
)


class Seeded(Struct, frozen=True, kw_only=True):
    """What was made."""

    teams: list[str]
    keys: dict[str, str]
    """`team/name` → the key, shown this once; empty for keys that were there."""
    models: list[str]
    calls: int


class _Key(Struct, frozen=True):
    team_id: str
    key_id: str


class _Route(Struct, frozen=True):
    model: str
    type: str
    provider: str
    deployment_id: str
    credential_id: str
    upstream_model: str


async def plant(hub: House, *, calls: int, is_forced: bool) -> Seeded:
    """Make the demo data, with so many calls in the past two weeks.

    Raises:
        Conflict: the hub has data already, and nobody said that it may be mixed with this.
    """
    if not is_forced and await _has_data(hub):
        raise Conflict("This hub has data already. Seed an empty one, or mix demo data into it with --force.")
    keys, secrets = await _plant_people(hub)
    routes = await _plant_catalogue(hub)
    await _plant_calls(hub, keys, routes, calls)
    return Seeded(teams=list(_TEAMS), keys=secrets, models=[route.model for route in routes], calls=calls)


async def _has_data(hub: House) -> bool:
    async with hub.db.reading() as session:
        return bool(
            await teams.listed(session)
            or await users.listed(session)
            or await providers.listed(session)
            or await deployments.models(session)
            or await reports.has_any(session)
        )


async def _plant_people(hub: House) -> tuple[list[_Key], dict[str, str]]:
    keys: list[_Key] = []
    secrets: dict[str, str] = {}
    async with hub.changing() as deed:
        session = deed.session
        deed.tell("seed.people", "hub", "hub", "hub", after={"teams": list(_TEAMS)})
        for name, members in _TEAMS.items():
            team = await teams.find_by_name(session, name) or await teams.create(session, name=name)
            for email, role in members:
                await teams.set_member(session, team.id, email, role)
            for key_name in _KEYS:
                key = await api_keys.find_by_name(session, team.id, key_name)
                if key is None:
                    key, secret = await api_keys.create(
                        session, hub.pepper, team_id=team.id, name=key_name, models=["*"]
                    )
                    secrets[f"{name}/{key_name}"] = secret.reveal()
                keys.append(_Key(team.id, key.id))
    return keys, secrets


async def _plant_catalogue(hub: House) -> list[_Route]:
    """One provider that answers (the demo) and one that does not (nobody listens at its address)."""
    routes: list[_Route] = []
    async with hub.changing() as deed:
        session = deed.session
        deed.tell("seed.catalogue", "hub", "hub", "hub", after={"providers": ["demo", _LAB]})
        own = await providers.find_by_name(session, "demo") or await providers.add(session, name="demo", kind="demo")
        lab = await providers.find_by_name(session, _LAB) or await providers.add(
            session, name=_LAB, kind="custom", base_url="http://127.0.0.1:9/v1"
        )
        there = await credentials.listed(session, lab.id)
        credential = (
            there[0]
            if there
            else await credentials.add(
                session,
                hub.vault,
                hub.pepper,
                provider_id=lab.id,
                label=credentials.DEFAULT_LABEL,
                parts={"secret": Secret("sk-demo-data-opens-nothing-0000")},
            )
        )
        wanted = [(f"demo/{name}", type_, own.id, name, "", "") for name, type_ in demo.MODELS]
        wanted += [
            (name, type_, lab.id, name.removeprefix("lab/"), cost, out) for name, type_, cost, out in _LAB_MODELS
        ]
        for name, type_, provider_id, upstream, cost_in, cost_out in wanted:
            model = await deployments.find_model(session, name)
            if model is None:
                model = await deployments.add_model(session, name=name, type=type_)
                route = await deployments.add(
                    session, model_id=model.id, provider_id=provider_id, upstream_model=upstream
                )
            else:
                route = (await deployments.listed(session, model.id))[0]
            if cost_in:
                card = {"input": (nano(cost_in), None), "output": (nano(cost_out), None)}
                await rates.set_card(session, route.id, card, "seed")
            is_lab = provider_id == lab.id
            routes.append(
                _Route(
                    model=name,
                    type=type_,
                    provider=_LAB if is_lab else "demo",
                    deployment_id=route.id,
                    credential_id=credential.id if is_lab else own.id,
                    upstream_model=upstream,
                )
            )
    return routes


async def _plant_calls(hub: House, keys: Sequence[_Key], routes: Sequence[_Route], count: int) -> None:
    chooser = random.Random(_SEED)  # noqa: S311
    boot_id, end_us = new_id(), now_us()
    begins_us = sorted(end_us - chooser.randrange(60, _DAYS * 86_400) * MICROSECONDS for _ in range(count))
    writer = _writer(hub)
    await writer.start()
    try:
        for start in range(0, count, _BATCH):
            postings = [
                writer.post(*_call(chooser, boot_id, started_us, chooser.choice(keys), _pick(chooser, routes)))
                for started_us in begins_us[start : start + _BATCH]
            ]
            for posting in postings:
                await posting.committed()
    finally:
        await writer.close()


def _pick(chooser: random.Random, routes: Sequence[_Route]) -> _Route:
    """Chat most of the time, as in life."""
    is_chat = chooser.random() < 0.85
    return chooser.choice([route for route in routes if (route.type == "chat") == is_chat])


_ENDPOINTS = {
    "chat": "chat.completions",
    "embedding": "embeddings",
    "image": "images.generations",
    "speech": "audio.speech",
    "transcription": "audio.transcriptions",
    "moderation": "moderations",
}

_FATES = (
    # share, status, HTTP status, error code, owner
    (0.92, "succeeded", 200, None, None),
    (0.95, "client_gone", 200, None, None),
    (0.97, "refused", 400, "provider_refused", "you"),
    (0.99, "failed", 502, "provider_failed", "provider"),
    (1.01, "failed", 429, "provider_rate_limited", "provider"),
)


def _call(chooser: random.Random, boot_id: str, started_us: int, key: _Key, route: _Route) -> list[Step]:
    """The whole record of one call, in one posting."""
    call_id = _call_id(chooser, started_us)
    fate = chooser.random()
    _, status, http_status, error_code, error_owner = next(one for one in _FATES if fate < one[0])
    is_answered = http_status == 200
    usage = _usage(chooser, route.type) if is_answered else Usage()
    first_byte_us = chooser.randrange(120_000, 900_000)
    total_us = first_byte_us + usage.output * 9_000 + chooser.randrange(5_000, 80_000)
    failed_first = is_answered and chooser.random() < 0.03
    outcomes = [*([503] if failed_first else []), http_status]
    error_text = None if error_code is None else "Demo data: this call never happened."
    attempts = [
        recorder.Tried(
            n=n,
            provider=route.provider,
            deployment_id=route.deployment_id,
            credential_id=route.credential_id,
            started_us=started_us + 1_500 * n,
            first_byte_us=first_byte_us if outcome == 200 else None,
            total_us=total_us if outcome == 200 else 40_000,
            http_status=outcome,
            error_code=None if outcome == 200 else error_code or "provider_overloaded",
            error_text=None if outcome == 200 else error_text,
        )
        for n, outcome in enumerate(outcomes, start=1)
    ]
    return [
        recorder.begin(
            recorder.Beginning(
                id=call_id,
                boot_id=boot_id,
                team_id=key.team_id,
                api_key_id=key.key_id,
                project=None,
                endpoint=_ENDPOINTS[route.type],
                model=route.model,
                is_streamed=route.type == "chat" and chooser.random() < 0.7,
                client=chooser.choice(("OpenAI/Python 2.9.0", "OpenAI/JS 6.10.0", "langchain/1.1", "curl/8.5.0")),
                started_us=started_us,
                billing="off",
                user_id=None,
            )
        ),
        *recorder.tried(call_id, attempts),
        recorder.end(
            call_id,
            recorder.Ending(
                status=status,
                queue_us=1_500,
                first_byte_us=first_byte_us if is_answered else None,
                total_us=total_us,
                provider=route.provider,
                deployment_id=route.deployment_id,
                credential_id=route.credential_id,
                upstream_model=route.upstream_model,
                upstream_id=None,
                attempts=len(attempts),
                http_status=http_status,
                finish_reason="stop" if status == "succeeded" and route.type == "chat" else None,
                error_code=error_code,
                error_owner=error_owner,
                error_text=error_text,
                usage_source=("estimated" if status == "client_gone" else "provider") if is_answered else "none",
                provider_cost_nano=None,
            ),
            usage,
        ),
    ]


def _usage(chooser: random.Random, type_: str) -> Usage:
    if type_ == "chat":
        prompt, cached = chooser.randrange(40, 4_000), chooser.choice((0, 0, 0, 1_024))
        return Usage(input=prompt, cache_read=cached, output=chooser.randrange(5, 900), requests=1)
    if type_ == "embedding":
        return Usage(input=chooser.randrange(10, 8_000), requests=1)
    if type_ == "image":
        return Usage(images=chooser.randrange(1, 4), requests=1)
    if type_ == "speech":
        return Usage(characters=chooser.randrange(20, 2_000), requests=1)
    if type_ == "transcription":
        return Usage(seconds=chooser.randrange(3, 600), requests=1)
    return Usage(input=chooser.randrange(10, 500), requests=1)


def _call_id(chooser: random.Random, started_us: int) -> str:
    """Like `new_id`, of the moment at which the call began."""
    tail = hashlib.sha256(chooser.randbytes(16)).hexdigest()[:20]
    return f"{started_us // 1000:012x}{tail}"


def _writer(hub: House) -> Writer:
    db: Database = hub.db
    return SqliteWriter(db) if db.is_sqlite else PostgresWriter(hub.settings)
