"""One call, from its durable beginning to its end. Read this first.

    begin       a committed row says that the call exists; an Idempotency-Key is claimed and credits are held with it
    ask         candidates in turn, until a provider's answer has begun; a failure before that tries the next
    relay       the answer goes to the client, whole or in pieces, its last bytes held back
    settle      usage and end are committed, once; then the last bytes go out

It runs in a task of its own. The client's leaving, a deadline or a shutdown stop only the part that talks to the
provider (`course.upstream`); nobody stops the settling.
"""

from __future__ import annotations

import asyncio
import contextlib
from time import monotonic

import structlog

from app.adapters.providers.failures import Failure
from app.base.errors import AppError, Busy, NotExpressible
from app.base.writer import AlreadyThere, Posting, Refused, Step
from app.domain.calls import recorder
from app.domain.calls.idempotency import Claim
from app.domain.calls.recorder import Beginning
from app.gateway import attempt, generations, limiting, relay, repeats, response_store, settlement, signatures
from app.gateway.attempt import Pieces, Whole
from app.gateway.charging import holding
from app.gateway.course import Course
from app.gateway.deadline import CLIENT_STALL_SECONDS
from app.gateway.passages.generated import Generated
from app.gateway.passages.passage import Passage
from app.gateway.repeats import Repeated

BEGIN_SECONDS = 5.0
"""A database that has not taken the beginning by then does not keep up; the call is refused."""
SETTLE_SECONDS = 0.25
"""How long the last bytes wait for the commit. After that they go out and the commit follows."""
CHARGED_SETTLE_SECONDS = 2.0
"""The same where credits are charged: what is delivered and not yet committed is lost with the process."""
MAX_ATTEMPTS = 6

_log = structlog.stdlib.get_logger(__name__)


async def carry(course: Course) -> None:
    """The whole walk. Whatever happens ends in the record and, if it is still there, at the client."""
    claim = repeats.claim_for(course)
    try:
        repeated = await _begin(course, claim)
        if repeated is not None:
            await _answer_again(course, repeated)
            return
        begun = await _ask(course)
        if isinstance(begun, Whole) and isinstance(begun.passage, Generated):
            await _hand_over(course, claim, begun, begun.passage)
        elif isinstance(begun, Whole):
            await _end_whole(course, claim, begun)
        else:
            await _end_pieces(course, claim, begun)
    except AppError as error:
        await _fail(course, claim, error)
    except asyncio.CancelledError:
        if course.is_begun and not course.is_settled:
            course.stop_reason = course.stop_reason or "interrupted"
            _settle(course, claim, None)
        raise
    except Exception:
        _log.exception("call.crashed", call=course.id)
        await _fail(course, claim, AppError("Something in the hub went wrong; its administrator finds it in the log."))
    finally:
        limiting.let_go(course)
        course.let_go()


async def _begin(course: Course, claim: Claim | None) -> Repeated | None:
    """Make the call durable. Gives the stored answer when the call is a repeat.

    Raises:
        Busy: the database does not take it; nothing was sent to a provider.
        Conflict, IdempotencyMismatch: its Idempotency-Key is in use.
        OutOfCredit, BudgetExceeded: it cannot be paid.
        LimitReached: there is no room for it now.
    """
    await limiting.admit(course)
    request = course.request
    beginning = Beginning(
        id=course.id,
        boot_id=course.shared.boot_id,
        team_id=course.caller.team_id,
        api_key_id=course.caller.key_id,
        project=request.project,
        endpoint=request.endpoint.name,
        model=course.model.name,
        is_streamed=request.body.is_streamed,
        client=request.client,
        started_us=course.started_us,
        billing=course.bill.billing,
        user_id=course.caller.user_id,
    )
    hold = holding.take(course)
    claiming = repeats.claim_steps(claim, course) if claim is not None else []
    generating = generations.begin_steps(course) if request.endpoint.task == "video" else []
    posting = course.shared.writer.post(recorder.begin(beginning), *claiming, *generating, movement=hold)
    course.is_begun = True
    # Whether or not anybody waits for its commit: what may have been held has to be given up.
    course.bill.is_held = hold is not None
    if not await posting.ended_within(BEGIN_SECONDS):
        posting.is_withdrawn = True
        raise Busy(
            "The hub's database does not answer. Try again in a moment.", code="database_busy", retry_after_seconds=5
        )
    match posting.failure:
        case None:
            if hold is not None:
                holding.taken(course, hold)
            return None
        case Refused() as refused:
            course.is_begun = False
            raise holding.refusal(course, refused)
        case AlreadyThere():
            if claim is None:
                # It is this call's own row: a commit whose answer was lost was tried again.
                if hold is not None:
                    holding.taken(course, hold)
                return None
            course.is_begun = False
            repeated = await repeats.find(claim, course)
            course.is_begun = repeated is None
            return repeated
        case failure:
            course.is_begun = False
            raise Busy(
                "The hub's database refused the call. Try again in a moment.", code="database_error"
            ) from failure


async def _ask(course: Course) -> Whole | Pieces:
    """The first answer that begins well.

    Raises:
        ProviderError: nobody could be asked, or what the last one said.
        NotExpressible: none of those who could be asked can be told what the caller wants.
    """
    await response_store.recall(course)
    endpoint, is_streamed = course.request.endpoint, course.request.body.is_streamed
    last: Failure | None = None
    refusal: NotExpressible | None = None
    unfit: set[str] = set()
    """Routes whose provider cannot be told what the caller asks, whichever credential it comes with."""
    preferred = await signatures.preferred_credential(course)
    for candidate in course.shared.router.candidates(course.model, endpoint, preferred):
        if candidate.route.id in unfit:
            continue
        if not await limiting.may_ask(course, candidate):
            continue
        course.candidate = candidate
        if course.asked_at is None:
            course.asked_at = monotonic()
        course.deadline.ask(candidate.route.source.kind.deadlines, is_streamed=is_streamed)
        try:
            result = await attempt.ask(course, candidate)
        except NotExpressible as reason:
            limiting.was_in_vain(course)
            refusal = refusal or reason
            unfit.add(candidate.route.id)
            continue
        if not isinstance(result, Failure):
            return result
        limiting.was_in_vain(course)
        last = result
        if not last.is_retryable or len(course.attempts) >= MAX_ATTEMPTS or course.is_client_gone:
            break
    if last is not None:
        raise last.error
    if refusal is None and course.credential_wait is not None:
        raise limiting.all_limited(course, course.credential_wait)
    raise refusal or course.shared.router.why_none(course.model, endpoint)


async def _end_whole(course: Course, claim: Claim | None, whole: Whole) -> None:
    facts, outcome = whole.facts, course.outcome
    outcome.usage = facts.usage
    outcome.finish_reason = facts.finish_reason
    outcome.upstream_id = facts.upstream_id
    outcome.items = facts.items
    outcome.seconds = facts.seconds
    outcome.service_tier = facts.service_tier
    outcome.count_characters = whole.count_characters
    if whole.problem is not None:
        raise whole.problem
    if course.caller.keep_content_days > 0:
        outcome.kept = whole.content[: relay.MAX_KEPT_BYTES]
    course.http_status = whole.status
    answer = whole.status, whole.content_type, whole.content
    await _durable(course, _settle(course, claim, answer, _kept(course, whole.passage)))
    headers = [*course.headers(), (b"content-type", whole.content_type.encode("latin-1", "replace"))]
    await course.door.answer(whole.status, headers, whole.content)


async def _hand_over(course: Course, claim: Claim | None, whole: Whole, passage: Generated) -> None:
    """A provider has taken the order: from here on the call belongs to its job (`generations.py`).

    Raises:
        Busy: the database refused it. The provider works at something that nobody will ask for.
    """
    course.http_status = 200
    course.is_settled = True
    course.deadline.close()
    answer = 200, whole.content_type, whole.content
    # The answer of an order that waits is the video, which is too large to be kept for a repeat.
    repeatable = [] if claim is None else repeats.end_steps(claim, course, None if passage.client.waits else answer)
    posting = course.shared.writer.post(*generations.accept_steps(course, passage, 200), *repeatable, must_take=True)
    await posting.ended_within(BEGIN_SECONDS)
    # Refused is a commit whose answer was lost and that was tried again.
    if posting.failure is not None and not isinstance(posting.failure, Refused):
        course.is_settled = False
        raise Busy("The hub's database refused the call. Try again in a moment.", code="database_error")
    content = whole.content
    if passage.client.waits:
        try:
            with course.waiting:
                content = await generations.waited_for(course, passage)
        except AppError as error:
            # The call is its job's, which has ended it or goes on; this is only what its client hears.
            await _answer_error(course, error)
            return
    await course.door.answer(200, [*course.headers(), (b"content-type", whole.content_type.encode())], content)


async def _end_pieces(course: Course, claim: Claim | None, pieces: Pieces) -> None:
    tail = await relay.relay(course, pieces)
    await _durable(course, _settle(course, claim, None, _kept(course, pieces.passage)))
    with contextlib.suppress(TimeoutError):  # a client that takes nothing more is left, see `Gateway.carry`
        async with asyncio.timeout(CLIENT_STALL_SECONDS):
            await course.door.end(tail)


async def _fail(course: Course, claim: Claim | None, error: AppError) -> None:
    """End with an error: as the answer while none has begun, else as the last event of the stream."""
    if course.is_settled:
        return
    # Its traceback holds the frames of this call, and they hold its body.
    course.error = error.with_traceback(None)
    if not course.has_started:
        course.http_status = error.http_status
    if course.is_begun:
        await _durable(course, _settle(course, claim, None))
    else:
        # No row: a limit or the database did not take it, or the Idempotency-Key belongs to another call.
        course.is_settled = True
        limiting.let_go(course)
        _log.info("call.refused", call=course.id, team=course.caller.team_name, error=error.code)
    door = course.door
    if course.has_started:
        # A file that broke has no place for an error, and a client that takes nothing would be waited for.
        has_place = course.request.body.is_streamed and not course.is_client_gone
        await door.break_off(door.error_event(error, course.id) if has_place else None)
        return
    await _answer_error(course, error)


async def _answer_error(course: Course, error: AppError) -> None:
    door = course.door
    # A call without a row has no number that anybody could look up.
    call_id = course.id if course.is_begun else None
    headers = [
        *(course.headers() if course.is_begun else course.limit_headers()),
        (b"content-type", b"application/json"),
    ]
    if error.retry_after_seconds is not None:
        headers.append((b"retry-after", b"%d" % error.retry_after_seconds))
    await door.answer(error.http_status, headers, door.error_body(error, call_id))


async def _answer_again(course: Course, repeated: Repeated) -> None:
    """What the first call with this Idempotency-Key was answered. No record: it is the same call."""
    course.is_settled = True
    headers = [
        (b"x-hub-call-id", repeated.call_id.encode()),
        (b"x-hub-idempotent-replay", b"true"),
        *course.limit_headers(),
        (b"content-type", repeated.content_type.encode("latin-1", "replace")),
    ]
    await course.door.answer(repeated.http_status, headers, repeated.content)


def _settle(
    course: Course, claim: Claim | None, answer: tuple[int, str, bytes] | None, kept: list[Step] | None = None
) -> Posting:
    """`kept` is what a success leaves behind for the calls after it."""
    repeatable = repeats.end_steps(claim, course, answer) if claim is not None else []
    given_up = generations.give_up_steps(course) if course.request.endpoint.task == "video" else []
    return settlement.settle(course, [*repeatable, *(kept or []), *given_up])


def _kept(course: Course, passage: Passage) -> list[Step]:
    """What later turns need of the answer."""
    try:
        return passage.keeps()
    except Exception:  # a turn that is not kept is a lesser evil than a call that is not settled
        _log.exception("turn.not_kept", call=course.id)
        return []


async def _durable(course: Course, posting: Posting) -> None:
    await posting.ended_within(CHARGED_SETTLE_SECONDS if course.bill.charges else SETTLE_SECONDS)
