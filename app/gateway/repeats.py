"""Repeats: what a call with an Idempotency-Key claims, and what a second one with the same key is answered."""

from __future__ import annotations

import base64

from msgspec import Struct

from app.base.clock import now_us
from app.base.errors import Conflict, IdempotencyMismatch
from app.base.secret import Secret
from app.base.vault import Place, VaultError
from app.base.writer import Step
from app.domain.calls import idempotency, recorder
from app.domain.calls.idempotency import KEPT_US, Claim
from app.domain.calls.recorder import KeptAnswer
from app.gateway.course import Course


class Repeated(Struct, frozen=True):
    """The stored answer of the first call."""

    call_id: str
    http_status: int
    content_type: str
    content: bytes


def claim_for(course: Course) -> Claim | None:
    """None where the client sent no key, or for a stream, which cannot be kept."""
    request = course.request
    if request.idempotency_key is None or request.body.is_streamed:
        return None
    return idempotency.claim_of(course.caller.key_id, request.idempotency_key, request.endpoint.name, request.raw_body)


def claim_steps(claim: Claim, course: Course) -> list[Step]:
    """For the posting that begins the call; it fails on its unique key when the key is taken."""
    return [
        recorder.drop_expired_claim(claim.digest, course.started_us),
        recorder.claim(claim.digest, claim.body_digest, course.id, course.started_us + KEPT_US),
    ]


def end_steps(claim: Claim, course: Course, answer: tuple[int, str, bytes] | None) -> list[Step]:
    """For the posting that settles the call: keep its answer, or leave the key free after a failure."""
    if answer is None:
        return [recorder.release_claim(claim.digest, course.id)]
    http_status, content_type, content = answer
    text = Secret(base64.b64encode(content).decode())
    kept = KeptAnswer(
        http_status=http_status,
        # As long as its column.
        content_type=content_type[:200],
        sealed_answer=course.shared.vault.seal(text, _place(course.id)),
    )
    return [recorder.keep_answer(claim.digest, course.id, kept)]


async def find(claim: Claim, course: Course) -> Repeated | None:
    """The answer of the call that has the key; None when that is this very call.

    Raises:
        IdempotencyMismatch: the key came with another body before.
        Conflict: the first call is still running.
    """
    async with course.shared.db.reading() as session:
        earlier = await idempotency.earlier(session, claim, now_us())
    if earlier is None:
        raise Conflict("The first call with this Idempotency-Key has just failed. Send the request again.")
    if earlier.call_id == course.id:
        return None
    if earlier.body_digest != claim.body_digest:
        raise IdempotencyMismatch(
            "This Idempotency-Key was used with another request. Use a new key for a new request.",
            param="Idempotency-Key",
        )
    if earlier.http_status is None or earlier.sealed_answer is None:
        raise Conflict(
            "The first call with this Idempotency-Key is still running. Ask again in a moment.",
            code="idempotency_key_in_use",
        )
    try:
        text = course.shared.vault.open(earlier.sealed_answer, _place(earlier.call_id))
    except VaultError:
        raise Conflict(
            "The first call with this Idempotency-Key succeeded, but its stored answer cannot be read any more.",
            code="idempotent_answer_lost",
        ) from None
    return Repeated(
        earlier.call_id,
        earlier.http_status,
        earlier.content_type or "application/json",
        base64.b64decode(text.reveal()),
    )


def _place(call_id: str) -> Place:
    return Place("idempotent_answer", "sealed_answer", call_id)
