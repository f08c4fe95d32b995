"""What a call sets aside before its provider is asked, and how that grows while its answer streams.

The hold covers what goes in and a forecast of what comes out, not the worst case. A stream is watched: when it has
written what is held, its hold grows by a slice, and where there is no credit for one, the stream is ended. An answer
that comes in one piece, or in one burst, cannot be ended in the middle; so where the credits do not reach for the
longest that it could be, the request is bounded to what they reach for.
"""

from __future__ import annotations

from app.base import clock
from app.base.clock import MICROSECONDS, now_us
from app.base.errors import AppError, Busy, OutOfCredit
from app.base.money import show_nano
from app.base.usage import Usage
from app.base.writer import Refused
from app.domain.billing import budget_words
from app.domain.billing.book import NoAccount
from app.domain.billing.budget_rules import BudgetRule, spent_by
from app.domain.billing.movements import Extend, Frozen, Insufficient, OverBudget, Room, Take
from app.gateway.bill import Bill
from app.gateway.course import Course
from app.gateway.forecasts import MOST_TOKENS, SHORT_TOKENS
from app.wire import token_estimate

HOLD_SECONDS = 3600
"""Longer than any call but a video's lasts."""
VIDEO_HOLD_SECONDS = 7 * 3600
_CHARACTERS_PER_TOKEN = 2
"""Fewer than most texts have: a stream is asked for its next slice rather early than late."""
_WHOLE_TOKENS = 4096
"""Held for an answer in one piece of which nothing is known."""
_ANY_MODEL_TOKENS = 4096
"""Providers refuse a bound beyond what their model writes, and nobody tells us what that is. So a caller who sets none
gets one only as long as any model takes it; up to there the watch, and what a slice leaves open, have to do."""
_GROW_SECONDS = 5.0

# What orders come to where the provider counts in tokens: large pictures and videos of those who do.
_TOKENS_PER_PICTURE = 6_500
_TOKENS_PER_VIDEO_SECOND = 50_000
_VIDEO_SECONDS = 8
# Of sound whose length is only known once it has been heard: as if it were compressed as for speech.
_SOUND_BYTES_PER_SECOND = 8_000
_SOUND_TOKENS_PER_SECOND = 25
_WORDS_TOKENS_PER_SECOND = 5


def take(course: Course) -> Take | None:
    """The hold for a call that begins; None where nothing has to be held."""
    bill = course.bill
    if not bill.charges and not bill.rules:
        return None
    wish = bill.forecast = forecast_of(course, bill)
    is_video = course.request.endpoint.task == "video"
    hold_seconds = VIDEO_HOLD_SECONDS if is_video else HOLD_SECONDS
    wish_nano = bill.dearest(wish) if bill.charges else 0
    rooms = [_room(course, rule, wish, wish_nano) for rule in bill.rules]
    least = min(wish.output, SHORT_TOKENS) if writes_tokens(course) else wish.output
    least_nano = wish_nano if least == wish.output or not wish_nano else bill.dearest(_with_output(wish, least))
    if not rooms and not wish_nano:
        # Everything that may serve it is free.
        return None
    return Take(
        call_id=course.id,
        team_id=course.caller.team_id,
        boot_id=course.shared.boot_id,
        now_us=course.started_us,
        expires_us=course.started_us + hold_seconds * MICROSECONDS,
        wish_nano=wish_nano,
        least_nano=least_nano,
        charges=wish_nano > 0,
        rooms=rooms,
    )


def taken(course: Course, hold: Take) -> None:
    """The hold is committed: note what it allows."""
    bill = course.bill
    bill.held_nano = hold.held_nano
    if not hold.charges or not writes_tokens(course):
        return
    wish = bill.forecast
    if course.request.body.is_streamed:
        bill.slice_tokens = max(SHORT_TOKENS, wish.output)
        bill.watched_tokens = _affordable(bill, wish, hold.held_nano, wish.output)
    most = MOST_TOKENS if bill.asked_output is None else bill.asked_output
    if wish.output >= most and hold.held_nano == hold.wish_nano:
        return
    reach = _affordable(bill, wish, hold.held_nano + max(0, hold.free_nano), most)
    if reach < most and (bill.asked_output is not None or reach <= _ANY_MODEL_TOKENS):
        bill.most_output = max(1, reach)


def refusal(course: Course, refused: Refused) -> AppError:
    """What a call that could not set aside what it needs is answered."""
    match refused:
        case OverBudget():
            caller = course.caller
            rule = next(rule for rule in course.bill.rules if rule.id == refused.room.budget_id)
            return budget_words.exceeded(rule, course.started_us, team_name=caller.team_name, key_name=caller.key_name)
        case Frozen():
            return OutOfCredit(
                f"The account of {course.caller.team_name} is frozen. The hub's administrator can say why.",
                code="account_frozen",
                moment=clock.now().isoformat(),
                link=course.shared.snapshots.current.purchase_link,
            )
        case Insufficient() | NoAccount():
            free = refused.free_nano if isinstance(refused, Insufficient) else 0
            needed = (
                refused.least_nano if isinstance(refused, Insufficient) else course.bill.dearest(course.bill.forecast)
            )
            link = course.shared.snapshots.current.purchase_link
            where = f" Credits can be bought at {link}" if link else " The hub's administrator can grant some."
            return OutOfCredit(
                f"This call needs about {_shown(needed)} credits; {course.caller.team_name} has {_shown(free)}.{where}",
                moment=clock.now().isoformat(),
                link=link,
            )
        case _:
            return Busy("The hub's database refused the call. Try again in a moment.", code="database_error")


async def grow(course: Course, characters: int) -> bool:
    """A stream has written so much: let its hold grow by a slice. False where there is no credit for one."""
    bill = course.bill
    written = -(-characters // _CHARACTERS_PER_TOKEN)
    wish = _with_output(bill.forecast, written + bill.slice_tokens)
    least = _with_output(bill.forecast, written + 1)
    extend = Extend(
        call_id=course.id,
        team_id=course.caller.team_id,
        now_us=now_us(),
        wish_nano=bill.dearest(wish),
        least_nano=bill.dearest(least),
    )
    posting = course.shared.writer.post(movement=extend, must_take=True)
    if not await posting.ended_within(_GROW_SECONDS):
        # The stream is not the place to wait for a database: it goes on for a slice, and is charged for it.
        bill.watched_tokens = written + bill.slice_tokens
        return True
    if posting.failure is not None:
        return not isinstance(posting.failure, Refused)
    bill.held_nano = extend.held_nano
    bill.watched_tokens = _affordable(bill, bill.forecast, extend.held_nano, written + bill.slice_tokens)
    return True


def must_grow(bill: Bill, characters: int) -> bool:
    watched = bill.watched_tokens
    return watched is not None and characters > watched * _CHARACTERS_PER_TOKEN


def overdraft_nano(bill: Bill) -> int:
    """How far beyond its hold a call may take an account below its line: one slice."""
    forecast = bill.forecast
    if not bill.charges or not bill.is_held:
        return 0
    slice_tokens = bill.slice_tokens or forecast.output
    return bill.dearest(_with_output(Usage(requests=0), max(SHORT_TOKENS, slice_tokens)))


def forecast_of(course: Course, bill: Bill) -> Usage:
    """What the call is let in for."""
    request, endpoint = course.request, course.request.endpoint
    meters = endpoint.meters
    order = bill.order
    tokens_in = token_estimate.input_estimate(request.body) if "input" in meters else 0
    if endpoint.name.startswith("audio.tr"):
        seconds = request.body.size // _SOUND_BYTES_PER_SECOND + 1
        return Usage(
            audio_in=seconds * _SOUND_TOKENS_PER_SECOND,
            output=seconds * _WORDS_TOKENS_PER_SECOND,
            seconds=seconds,
            requests=1,
        )
    pieces, seconds = max(1, order.pieces), order.seconds or _VIDEO_SECONDS
    output = 0
    if writes_tokens(course):
        asked = bill.asked_output
        output = course.shared.forecasts.tokens(course.caller.key_id, course.model.name, asked)
        if not request.body.is_streamed:
            output = max(output * 4, _WHOLE_TOKENS)
        output = output if asked is None else min(output, asked)
    elif endpoint.task == "image":
        output = pieces * _TOKENS_PER_PICTURE
    elif endpoint.task == "video":
        output = seconds * _TOKENS_PER_VIDEO_SECOND
    return Usage(
        input=tokens_in,
        output=output if "output" in meters else 0,
        images=pieces if "images" in meters else 0,
        seconds=seconds if "seconds" in meters else 0,
        characters=request.body.characters if "characters" in meters else 0,
        requests=1,
    )


def writes_tokens(course: Course) -> bool:
    """Whether what comes out is text, whose length nobody knows before."""
    endpoint = course.request.endpoint
    return endpoint.task == "conversation" or endpoint.name == "completions"


def _room(course: Course, rule: BudgetRule, wish: Usage, wish_nano: int) -> Room:
    window = course.shared.snapshots.current.budgets.room(rule, course.started_us)
    cost_nano = course.bill.dearest_cost(wish) if rule.unit == "cost" else None
    amount = spent_by(rule.unit, wish, cost_nano=cost_nano, charge_nano=wish_nano)
    return Room(
        spend_id=window.spend_id,
        budget_id=rule.id,
        begins_us=window.begins_us,
        amount=amount,
        limit=rule.amount,
        blocks=rule.action == "block",
    )


def _affordable(bill: Bill, wish: Usage, nano: int, most: int) -> int:
    """How many tokens, up to `most`, an answer to this may have for so much."""
    if bill.dearest(_with_output(wish, most)) <= nano:
        return most
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if bill.dearest(_with_output(wish, middle)) <= nano:
            low = middle
        else:
            high = middle - 1
    return low


def _with_output(usage: Usage, tokens: int) -> Usage:
    return Usage(
        input=usage.input,
        output=tokens,
        images=usage.images,
        seconds=usage.seconds,
        characters=usage.characters,
        requests=usage.requests,
    )


def _shown(nano: int) -> str:
    """Credits for a sentence: rounded to what a person reads, never to nothing."""
    if abs(nano) >= 1_000_000:
        nano = nano // 1_000_000 * 1_000_000
    return show_nano(nano)
