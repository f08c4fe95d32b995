"""Generations: videos, which take a provider minutes.

    begin      the call's row and the generation's, in one transaction (`call.py`)
    accept     a provider took the order: its job's id is committed, the call handed over, the client gets the job
    poll       whichever process finds it due asks the provider, until the job has ended (`polling.py`)
    end        the video is stored, then generation and call end in one transaction, once (`polling.py`)

The running call belongs to the job and not to a process: there is one row with one bill for one video, as for any
other call, and it counts as running for as long as the provider works (and costs). So a restart loses nothing, and what
ends the calls of dead processes leaves these alone. Polling needs no lease of its own: each look at a job claims its
row for a while, and the end is guarded by the row's state, so that of two processes that find it one is refused.
"""

from __future__ import annotations

import asyncio

from app.base.clock import MICROSECONDS, now_us
from app.base.errors import ProviderFailed
from app.base.writer import Step
from app.domain.calls import handed_over, recorder
from app.domain.calls.handed_over import HandingOver
from app.domain.catalog import cards
from app.domain.media import generations
from app.domain.media.generations import Accepted, Begun, Facts
from app.gateway import fidelity
from app.gateway.charging import pricing
from app.gateway.course import Course
from app.gateway.passages.generated import Generated
from app.wire.videos import VideoJob

FIRST_POLL_SECONDS = 2
KEEP_SECONDS = 90 * 24 * 3600
"""So long a generation can be asked for; its file goes with the setting for files."""
STARTING_SECONDS = 3600
"""What no provider has taken by then, nobody will."""
LOOK_SECONDS = 1.0
"""Between two looks of a client that waits for the end."""


def begin_steps(course: Course) -> list[Step]:
    """For the posting that begins the call."""
    begun = Begun(
        call_id=course.id,
        team_id=course.caller.team_id,
        model=course.model.name,
        created_us=course.started_us,
        expires_us=course.started_us + KEEP_SECONDS * MICROSECONDS,
    )
    return [generations.begin(begun)]


def give_up_steps(course: Course) -> list[Step]:
    """For the posting that ends a call that no provider has taken."""
    error = course.error
    code = error.code if error is not None else "hub_stopped"
    text = error.sentence if error is not None else "The hub's process ended while the video was being ordered."
    return [generations.give_up(course.id, error_code=code, error_text=text)]


def accept_steps(course: Course, passage: Generated, http_status: int) -> list[Step]:
    """For the posting that hands the call over to its job."""
    candidate = course.candidate
    assert candidate is not None
    accepted = Accepted(
        seconds=passage.seconds,
        size=passage.size,
        format=passage.endpoint,
        deployment_id=candidate.route.id,
        credential_id=candidate.credential.id,
        upstream_model=candidate.route.upstream_model,
        job_id=passage.job_id,
        poll_after_us=now_us() + FIRST_POLL_SECONDS * MICROSECONDS,
    )
    asked_at = course.asked_at
    card = course.bill.cards.get(candidate.route.id)
    handing = HandingOver(
        queue_us=int((asked_at - course.request.arrived_at) * 1e6) if asked_at is not None else None,
        provider=candidate.route.source.name,
        deployment_id=candidate.route.id,
        credential_id=candidate.credential.id,
        upstream_model=candidate.route.upstream_model,
        upstream_id=passage.job_id[:200],
        attempts=len(course.attempts),
        http_status=http_status,
        fidelity=fidelity.record(course.notes),
        card_id=card.id if card is not None else None,
        price_facts=cards.facts_json(course.bill.facts),
    )
    return [
        generations.accept(course.id, accepted),
        handed_over.hand_over(course.id, handing),
        *pricing.card_steps(course, card),
        *recorder.tried(course.id, course.attempts),
    ]


def job_of(facts: Facts, *, address: str | None = None, content: bytes | None = None) -> VideoJob:
    """A generation as its client sees it."""
    state = "queued" if facts.state == "starting" else facts.state
    return VideoJob(
        id=facts.call_id,
        model=facts.model,
        state=state,  # pyright: ignore[reportArgumentType]
        progress=facts.progress,
        created=facts.created_us // MICROSECONDS,
        completed=facts.ended_us // MICROSECONDS if facts.ended_us is not None and state == "completed" else None,
        seconds=facts.seconds,
        size=facts.size,
        error_code=facts.error_code,
        error_text=facts.error_text,
        address=address,
        content=content,
    )


async def waited_for(course: Course, passage: Generated) -> bytes:
    """The answer for a client whose format hands over the video itself, once it is there.

    Raises:
        ProviderFailed: the generation failed; the call has been ended with the provider's own words.
    """
    shared, team_id = course.shared, course.caller.team_id
    while True:
        async with shared.db.reading() as session:
            facts = await generations.of_team(session, team_id, course.id)
        if facts is None or facts.state == "failed":
            sentence = facts.error_text if facts is not None else None
            code = facts.error_code if facts is not None else None
            raise ProviderFailed(sentence or "The video could not be made.", code=code)
        if facts.state == "completed" and facts.file_id is not None:
            break
        await asyncio.sleep(LOOK_SECONDS)
    if passage.order.delivery != "inline":
        return passage.client.write_job(job_of(facts, address=shared.media.link(facts.file_id, course.request.address)))
    file = await shared.media.found(facts.file_id)
    if file is None:
        raise ProviderFailed("The video is gone already.", code="file_not_found")
    return passage.client.write_job(job_of(facts, content=await shared.media.content(file)))
