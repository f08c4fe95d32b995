"""That no page and no door for programs changes something of people and keys without a word in the audit trail."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from app.domain.identity import api_keys, audit_reading, teams
from app.domain.identity.models import AuditEvent
from tests.web.hub_of_pages import ADDRESS, opened

WEB = Path(__file__).resolve().parents[2] / "app" / "web"

RECORDING = ("trail.record", "audit.record", "entering.enter(", "_record(")

QUIET = {
    "api/videos.py": "a program deletes a video that it has made; the call stays",
    "authentication.py": "that somebody is still there is no news",
    "portal/resets.py": "whoever asks for a link has not been let in by it",
}
"""Files of `app/web` that write and record nothing, and why."""
QUIET_CALLS = ("throttle.take(", "second_factors.begin(")
"""What counts tries, and what counts for nothing before it is confirmed, where a transaction does nothing else."""


def _transactions() -> Iterator[tuple[str, str]]:
    """File and body of each writing transaction of the pages and doors."""
    for path in sorted(WEB.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.AsyncWith) and any(
                ast.unparse(item.context_expr).endswith(".writing()") for item in node.items
            ):
                yield str(path.relative_to(WEB)), "\n".join(ast.unparse(line) for line in node.body)


def test_every_transaction_of_a_page_or_door_is_recorded_or_quiet_for_a_reason() -> None:
    silent = [
        (file, body)
        for file, body in _transactions()
        if not any(word in body for word in RECORDING)
        and not (len(body.splitlines()) == 1 and body.startswith(tuple(f"await {call}" for call in QUIET_CALLS)))
    ]

    assert {file for file, _ in silent} == set(QUIET), silent


async def test_what_a_key_does_to_keys_is_recorded_under_its_name(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        async with hub.db.writing() as session:
            team = await teams.create(session, name="acme")
            parent, secret = await api_keys.create(
                session, hub.pepper, team_id=team.id, name="ci", models=["*"], secret=None
            )
        await hub.gateway.snapshots.refresh()
        program = httpx.AsyncClient(
            transport=httpx.ASGITransport(hub.app, client=("192.0.2.9", 1)),
            base_url=ADDRESS,
            headers={"Authorization": f"Bearer {secret.reveal()}"},
        )
        made = await program.post("/v1/keys", json={"name": "job", "models": ["openai/*"]})
        assert made.status_code == 201, made.text
        refused = await program.post("/v1/keys", json={"name": "job"})
        assert refused.status_code == 409
        assert (await program.delete(f"/v1/keys/{made.json()['id']}")).status_code == 200

        async with hub.db.reading() as session:
            rows = (await session.scalars(select(AuditEvent).order_by(AuditEvent.seq))).all()
        events = [audit_reading.told(row) for row in rows]
    assert [event.action for event in events] == ["key.create", "key.revoke"]
    for event in events:
        assert (event.actor_kind, event.actor, event.actor_id) == ("key", "acme/ci", parent.id)
        assert (event.object, event.team_id, event.source) == ("acme/ci/job", team.id, "192.0.2.9")
    after: dict[str, Any] = events[0].after or {}
    assert after["models"] == ["openai/*"]
    assert made.json()["key"] not in str(events)
