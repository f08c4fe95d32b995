"""The gateway: what a door hands its requests to. One per process; a call's own walk is in `call.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from app.base.clock import now
from app.base.errors import Busy
from app.domain.catalog.serving import CallableModel
from app.domain.identity.callers import Caller
from app.gateway import admission, call
from app.gateway.bill import open_bill, priced_routes
from app.gateway.course import Course
from app.gateway.door import Door
from app.gateway.request import CallRequest
from app.gateway.shared import Shared
from app.gateway.snapshot import SnapshotKeeper

_SETTLE_AFTER_INTERRUPT_SECONDS = 2.0
_CROWD = 4
"""With more calls than these at once, their records share commits: that costs each a millisecond and saves much."""


class Gateway:
    def __init__(self, shared: Shared, snapshots: SnapshotKeeper, *, max_in_flight: int) -> None:
        self.shared = shared
        self.snapshots = snapshots
        self.is_draining = False
        self._max_in_flight = max_in_flight
        self._running: dict[asyncio.Task[None], Course] = {}
        shared.writer.is_crowded = lambda: len(self._running) > _CROWD
        metrics = shared.metrics
        metrics.gauge("hub_calls_running", "Calls under way.", lambda: len(self._running))
        metrics.gauge("hub_writer_waiting", "Postings not yet committed.", lambda: shared.writer.waiting)
        metrics.gauge(
            "hub_snapshot_age_seconds", "Since the catalogue was known to be current.", lambda: snapshots.age_seconds
        )

    def admit(self, caller: Caller, request: CallRequest) -> CallableModel:
        """The model to be called, once nothing stands against it.

        Raises:
            AppError: refused; nothing was recorded or sent.
        """
        if self.is_draining:
            raise Busy("The hub is restarting. Try again in a moment.", code="hub_restarting", retry_after_seconds=2)
        if len(self._running) >= self._max_in_flight:
            raise Busy("The hub is carrying as many calls as it can. Try again in a moment.")
        admission.check_caller(caller, now())
        admission.check_task(caller, admission.task_of(request.endpoint))
        model = admission.find_model(self.snapshots.current, caller, request.body.model)
        admission.check_endpoint(model, request.endpoint)
        return model

    async def carry(
        self, caller: Caller, request: CallRequest, door: Door, until_client_left: Callable[[], Awaitable[Any]]
    ) -> None:
        """Carry one call; returns when the client has its answer or has left, whichever is first.

        The call runs in a task of its own: whatever happens to the client, it is settled once.

        Raises:
            AppError: as `admit`.
        """
        model = self.admit(caller, request)
        bill = open_bill(self.snapshots.current, caller, model, request)
        priced = priced_routes(bill, model, request.endpoint)
        course = Course(self.shared, caller, priced, request, door, bill)
        task = course.task = asyncio.create_task(call.carry(course))
        self._running[task] = course
        waiting = asyncio.current_task()
        is_waiting = True

        def ended(_: object) -> None:
            del self._running[task]
            if is_waiting and not door.is_finished and waiting is not None:
                waiting.cancel()

        task.add_done_callback(ended)
        try:
            await until_client_left()
        except asyncio.CancelledError:
            if waiting is None or not task.done() or door.is_finished:
                raise
            # The call is over without a whole answer (a file that broke off, a client that takes nothing). Going back
            # to the server makes it close the connection; the client would wait for ever.
            waiting.uncancel()
        finally:
            is_waiting = False
            course.client_left()

    def running(self) -> list[Course]:
        """The calls under way."""
        return list(self._running.values())

    async def drain(self, grace_seconds: float) -> None:
        """Let running calls finish for so long, then interrupt what is left and wait for the settlements."""
        self.is_draining = True
        if self._running:
            await asyncio.wait(list(self._running), timeout=grace_seconds)
        for course in list(self._running.values()):
            course.stop("interrupted")
        if self._running:
            await asyncio.wait(list(self._running), timeout=_SETTLE_AFTER_INTERRUPT_SECONDS)
        await self.shared.finish_errands()
