"""argon2id, in two threads of its own: one check takes 20 ms and 19 MiB, so only so many may wait for one.

It takes as long to find a password wrong for somebody who has none as for somebody who has one.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from app.base.secret import Secret
from app.domain.identity.throttle import TooManyTries

THREADS = 2
MOST_WAITING = 20

_MEMORY_KIB = 19 * 1024
_BUSY_SECONDS = 5

_Result = TypeVar("_Result")


class Hasher:
    """Lives as long as its process; `close` ends its threads."""

    def __init__(self) -> None:
        self._argon = PasswordHasher(time_cost=2, memory_cost=_MEMORY_KIB, parallelism=1, type=Type.ID)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2")
        self._places = threading.BoundedSemaphore(THREADS + MOST_WAITING)
        # Nobody's password, in the parameters of today.
        self._nobody: Future[str] = self._pool.submit(self._argon.hash, secrets.token_urlsafe(16))

    async def hash(self, password: Secret) -> str:
        """
        Raises:
            TooManyTries: too many wait for one already.
        """
        text = _normal(password)
        return await self._run(lambda: self._argon.hash(text))

    async def is_right(self, stored: str | None, password: Secret) -> bool:
        """Whether this is the password of that hash. False, after the same time, where there is none.

        Raises:
            TooManyTries: too many wait for one already.
        """
        text = _normal(password)

        def check() -> bool:
            try:
                self._argon.verify(self._nobody.result() if stored is None else stored, text)
            except (VerificationError, InvalidHashError):
                return False
            return stored is not None

        return await self._run(check)

    def is_outdated(self, stored: str) -> bool:
        """Whether it was made with parameters that are no longer ours."""
        return self._argon.check_needs_rehash(stored)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], _Result]) -> _Result:
        if not self._places.acquire(blocking=False):
            raise TooManyTries(_BUSY_SECONDS)
        try:
            running = self._pool.submit(work)
        except RuntimeError:
            self._places.release()
            raise
        # Also when the one who waited has gone: the thread is still busy.
        running.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(running)


def _normal(password: Secret) -> str:
    """One text for what looks the same, whichever keyboard wrote it."""
    return unicodedata.normalize("NFKC", password.reveal())
