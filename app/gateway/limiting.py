"""The limits of one call: what it needs, where there was no room, and what becomes of its places when it ends."""

from __future__ import annotations

from collections.abc import Sequence

from app.base.clock import now_us
from app.base.errors import ProviderLimited
from app.base.usage import Usage
from app.domain.billing.budget_rules import spent_by
from app.domain.calls import limit_words
from app.domain.calls.limit_rules import Bound
from app.gateway import bill
from app.gateway.charging import holding
from app.gateway.course import Course
from app.gateway.limits.limiter import Needs
from app.gateway.routing import Candidate
from app.wire import token_estimate

_NOTHING = Needs(0, 0)


async def admit(course: Course) -> None:
    """Take a place under every limit of whoever calls, or none.

    Raises:
        LimitReached: one has no room.
        Busy: nobody knows, and the hub is set to refuse then.
    """
    caller = course.caller
    bounds = course.shared.snapshots.current.limits.of(caller.team_id, caller.key_id, caller.user_id, course.model.name)
    if not bounds:
        return
    needs, moment_us = _needs(course, bounds), now_us()
    names = limit_words.Names(caller.team_name, caller.key_id, caller.key_name, course.model.name)
    for bound in bounds:
        if bound.rule.unit == "tokens" and needs.sent_tokens > bound.rule.amount:
            raise limit_words.too_large(bound, needs.sent_tokens, names)
    course.places = await course.shared.limiter.take(bounds, needs, moment_us)
    over = course.places.over
    if over:
        # The one that is full for longest: after it there is room under all of them.
        full = max(over, key=lambda place: limit_words.retry_after_seconds(place.bound.rule, moment_us))
        raise limit_words.reached(full.bound, moment_us, names)


async def may_ask(course: Course, candidate: Candidate) -> bool:
    """Take a place under the limits of the hub's own credential. False: it has none left, and another one is asked.

    Raises:
        Busy: nobody knows, and the hub is set to refuse then.
    """
    bounds = course.shared.snapshots.current.limits.of_credential(candidate.credential.id)
    if not bounds:
        return True
    needs, moment_us = _needs(course, bounds), now_us()
    if all(bound.rule.unit != "tokens" or needs.sent_tokens <= bound.rule.amount for bound in bounds):
        places = await course.shared.limiter.take(bounds, needs, moment_us)
        full = [place.bound for place in places.over]
        if not full:
            course.credential_places = places
            return True
    else:
        full = bounds
    wait = max(limit_words.retry_after_seconds(bound.rule, moment_us) for bound in full)
    course.credential_wait = wait if course.credential_wait is None else min(wait, course.credential_wait)
    return False


def all_limited(course: Course, wait_seconds: int) -> ProviderLimited:
    """What a call is answered for which every credential is at its limit."""
    return ProviderLimited(
        f"{course.model.name} is at the limit of what this hub asks of its provider. Try again in {wait_seconds} s.",
        retry_after_seconds=wait_seconds,
    )


def was_in_vain(course: Course) -> None:
    """The provider was asked and failed: that counts as a request of the credential, and as nothing else."""
    if course.credential_places is not None:
        course.shared.limiter.settle(course.credential_places, 0)
        course.credential_places = None


def settled(course: Course, usage: Usage) -> None:
    """The call has ended, and this is what it has used."""
    if course.places is None and course.credential_places is None:
        return
    tokens = spent_by("tokens", usage, cost_nano=None, charge_nano=None)
    for places in (course.places, course.credential_places):
        if places is not None:
            course.shared.limiter.settle(places, tokens)


def let_go(course: Course) -> None:
    """The walk is over, however it went. A call that was never begun counts for nothing; one that was handed over to
    its job, or of which nobody knows what it used, counts as it was foreseen."""
    for places in (course.places, course.credential_places):
        if places is None:
            continue
        if course.is_begun:
            course.shared.limiter.leave(places)
        else:
            course.shared.limiter.give_back(places)


def _needs(course: Course, bounds: Sequence[Bound]) -> Needs:
    if all(bound.rule.unit != "tokens" for bound in bounds):
        return _NOTHING
    request = course.request
    if not holding.writes_tokens(course):
        usage = holding.forecast_of(course, course.bill)
        return Needs(spent_by("tokens", usage, cost_nano=None, charge_nano=None), usage.input_total)
    sent = token_estimate.input_estimate(request.body)
    asked = bill.asked_output(request)
    # Not the worst case, as of a hold: what was too little is counted when the call ends.
    return Needs(sent + course.shared.forecasts.tokens(course.caller.key_id, course.model.name, asked), sent)
