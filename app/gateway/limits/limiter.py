"""Counts limits: takes a place in every counter of a call at once, or in none, and gives places back.

A place is taken before anybody looks whether there was one, so that two calls can never both have the last one; who was
too much gives it back. Where the counts are shared and do not answer, this process counts for itself, or refuses, as
the hub is set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from msgspec import Struct

from app.adapters.counting.counts import Addition, Counts, CountsUnavailable, LocalCounts
from app.base.errors import Busy
from app.domain.calls.limit_rules import Bound, window

_CLOSED_SECONDS = 5


class Needs(Struct, frozen=True):
    """What one call needs of each unit."""

    tokens: int
    """In and out, as far as can be foreseen."""
    sent_tokens: int
    """Of those, what it sends."""
    requests: int = 1
    streams: int = 1

    def of(self, bound: Bound) -> int:
        """A forecast that is more than the whole limit takes all of it: such a call passes when nobody else does."""
        match bound.rule.unit:
            case "requests":
                return self.requests
            case "tokens":
                return min(self.tokens, bound.rule.amount)
            case "streams":
                return self.streams


class Place(Struct):
    """In one counter."""

    bound: Bound
    begins_us: int
    ends_us: int | None
    amount: int
    """What this call has taken of it."""
    total: int
    """What the counter stood at with it; where it was given back, without it."""
    is_over: bool
    """Whether there was no room for it."""
    is_open: bool = True
    """Whether it can still change."""

    @property
    def left(self) -> int:
        return max(0, self.bound.rule.amount - self.total)


class Places(Struct, frozen=True):
    """What one call has taken."""

    counts: Counts
    places: tuple[Place, ...]

    @property
    def over(self) -> list[Place]:
        """Where there was no room. Empty where the call may go on."""
        return [place for place in self.places if place.is_over]


class Limiter:
    """One per process."""

    def __init__(self, shared: Counts | None = None, *, is_closed_on_failure: bool = False) -> None:
        """Without `shared` this process counts for itself."""
        self._local = LocalCounts()
        self._shared = shared
        self._is_closed_on_failure = is_closed_on_failure
        self._tasks: set[asyncio.Task[None]] = set()

    async def take(self, bounds: Sequence[Bound], needs: Needs, now_us: int) -> Places:
        """A place under each of these limits. Where one has no room (`over`), all are given back already.

        Raises:
            Busy: nobody knows what is counted, and the hub is set to refuse then.
        """
        windows = [window(bound.rule.per, now_us) for bound in bounds]
        additions = [
            Addition(bound.counter, begins_us, ends_us, needs.of(bound))
            for bound, (begins_us, ends_us) in zip(bounds, windows, strict=True)
        ]
        counts: Counts = self._shared or self._local
        try:
            totals = await counts.add(additions)
        except CountsUnavailable:
            if self._is_closed_on_failure:
                raise Busy(
                    "The hub cannot look up its limits at the moment. Try again in a few seconds.",
                    code="limits_unavailable",
                    retry_after_seconds=_CLOSED_SECONDS,
                ) from None
            counts = self._local
            totals = await counts.add(additions)
        places = Places(
            counts,
            tuple(
                Place(bound, one.begins_us, one.ends_us, one.amount, total, is_over=total > bound.rule.amount)
                for bound, one, total in zip(bounds, additions, totals, strict=True)
            ),
        )
        if places.over:
            self.give_back(places)
            for place in places.places:
                place.total -= place.amount
        return places

    def give_back(self, places: Places) -> None:
        """Everything, as if the call had never come. Once, however often it is asked."""
        self._change(places, [(place, -place.amount) for place in places.places])

    def settle(self, places: Places, tokens: int) -> None:
        """The call has ended and has used so many tokens: it is under way no more, and its request stays counted."""
        self._change(
            places,
            [
                (place, (tokens if place.bound.rule.unit == "tokens" else 0) - place.amount)
                for place in places.places
                if place.bound.rule.unit != "requests"
            ],
        )

    def leave(self, places: Places) -> None:
        """It is under way no more; what it has used nobody knows yet, so that what was foreseen stays counted."""
        self._change(places, [(place, -place.amount) for place in places.places if place.bound.rule.unit == "streams"])

    async def close(self) -> None:
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._shared is not None:
            await self._shared.close()

    def _change(self, places: Places, changes: Sequence[tuple[Place, int]]) -> None:
        additions: list[Addition] = []
        for place, amount in changes:
            # What was settled is left alone by whoever comes later.
            if place.is_open and amount:
                additions.append(Addition(place.bound.counter, place.begins_us, place.ends_us, amount))
            place.is_open = False
        if not additions:
            return
        if isinstance(places.counts, LocalCounts):
            places.counts.add_now(additions)
        else:
            self._beside(_added(places.counts, additions))

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _added(counts: Counts, additions: Sequence[Addition]) -> None:
    try:
        await counts.add(additions)
    except CountsUnavailable:
        # Of a window it ends with the window; of calls under way the next that is counted tells the right number.
        return
