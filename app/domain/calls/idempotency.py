"""Idempotency-Key: a repeat within 24 hours gives the stored answer and leaves one record."""

from __future__ import annotations

import hashlib

from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.base.clock import MICROSECONDS
from app.domain.calls.models import IdempotentAnswer

KEPT_US = 24 * 3600 * MICROSECONDS


class Claim(Struct, frozen=True, kw_only=True):
    """A client's key, bound to the API key that sent it, and what its body was."""

    digest: bytes
    body_digest: bytes


class Earlier(Struct, frozen=True, kw_only=True):
    """What the first call with the same key came to; `http_status` is None while it runs."""

    body_digest: bytes
    call_id: str
    http_status: int | None
    content_type: str | None
    sealed_answer: str | None


def claim_of(api_key_id: str, idempotency_key: str, endpoint: str, body: bytes) -> Claim:
    """The claim that a request makes. Two API keys never meet, nor do two endpoints with one body."""
    return Claim(
        digest=hashlib.sha256(f"{api_key_id}\0{idempotency_key}".encode()).digest(),
        body_digest=hashlib.sha256(endpoint.encode() + b"\0" + body).digest(),
    )


async def earlier(session: AsyncSession, claim: Claim, now_us: int) -> Earlier | None:
    row = (
        await session.execute(
            select(
                IdempotentAnswer.body_digest,
                IdempotentAnswer.call_id,
                IdempotentAnswer.http_status,
                IdempotentAnswer.content_type,
                IdempotentAnswer.sealed_answer,
            ).where(IdempotentAnswer.digest == claim.digest, IdempotentAnswer.expires_us >= now_us)
        )
    ).one_or_none()
    if row is None:
        return None
    body_digest, call_id, http_status, content_type, sealed_answer = row
    return Earlier(
        body_digest=body_digest,
        call_id=call_id,
        http_status=http_status,
        content_type=content_type,
        sealed_answer=sealed_answer,
    )
