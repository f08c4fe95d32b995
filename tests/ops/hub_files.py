"""A hub on the test's database, and a file for it that uses everything a file can say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from app.adapters.providers.registry import KINDS
from app.ops import apply
from app.ops.apply import Draft
from app.ops.house import House
from app.ops.tables import METADATA

OPENAI_SECRET = "sk-proj-thisIsTheOpenAiSecret0123"
AWS_SECRET = "wJalrXUtnFEMI-thisIsTheAwsSecret"
KEY_SECRET = "thisIsTheGivenKeyOfAcme0123456789abcdef"

ENVIRON = {"OPENAI_API_KEY": OPENAI_SECRET, "AWS_SECRET": AWS_SECRET, "ACME_KEY": KEY_SECRET}

FULL = """\
billing: off
providers:
  - name: openai
    kind: openai
    base_url: https://api.openai.com/v1/
    credentials: [{label: main, secret: env:OPENAI_API_KEY, weight: 70}]
  - name: aws
    kind: bedrock
    region: us-east-1
    credentials: [{label: main, access_key_id: AKIAIOSFODNN7EXAMPLE, secret_access_key: env:AWS_SECRET}]
  - name: local
    kind: ollama
models:
  - model: openai/gpt-4o-mini
    type: chat
    aliases: [gpt-4o-mini, mini]
    routes:
      - {provider: openai, upstream_model: gpt-4o-mini, weight: 100, priority: 0}
      - {provider: local, upstream_model: "llama3:8b", priority: 1}
    cost:  {input: "0.15", cache_read: "0.075", output: "0.60"}
    price: {markup_percent: "20"}
  - model: openai/dall-e-3
    type: image
    routes: [{provider: openai, upstream_model: dall-e-3}]
    cost: {images: "0.04"}
    price: {images: "0.05"}
teams:
  - name: acme
    keep_content_days: 30
    members: [{email: A@Example.com, role: admin}, {email: b@example.com}]
    credits: "100"
    keys: [{name: ci, secret: env:ACME_KEY, models: ["openai/*"], expires: 2099-01-31, strict: true}]
  - name: Research & Co
"""


async def planned(hub: House, text: str, *, prune: bool = False, environ: Mapping[str, str] = ENVIRON) -> Draft:
    return await apply.prepare(hub, text.encode(), "hub.yaml", environ=environ, kinds=KINDS, is_pruning=prune)


async def applied(hub: House, text: str, *, prune: bool = False, environ: Mapping[str, str] = ENVIRON) -> list[str]:
    """Apply the file; the lines of its plan."""
    draft = await planned(hub, text, prune=prune, environ=environ)
    await apply.carry_out(hub, draft)
    return [change.text() for change in draft.plan.changes]


async def everything(hub: House) -> dict[str, list[Any]]:
    """Every row of every table."""
    async with hub.db.reading() as session:
        return {
            table.name: sorted((await session.execute(select(table))).all(), key=repr)
            for table in METADATA.sorted_tables
        }
