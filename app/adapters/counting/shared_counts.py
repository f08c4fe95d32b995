"""What is counted for limits by all processes of a hub together: in Redis or Valkey.

Windows are counters of the `limits` library. Of calls under way each process has its own number, in a hash for each
counter; what a process that has died had under way is forgotten when its sign of life is, so that a limit of calls at
once is not used up by calls that nobody carries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

import structlog

from app.adapters.counting.counts import Addition, CountsUnavailable
from app.base.clock import MICROSECONDS
from app.base.secret import Secret

DEADLINE_SECONDS = 0.045
"""For all that one call counts at one time: a call may wait for 50 ms, and the loop takes its part of them."""
REST_SECONDS = 5.0
"""After a failure nobody asks for so long; then one call does, and the others still not until it knows."""
LIFE_SECONDS = 30
_CONNECTIONS = 16
"""At most: a command takes a tenth of a millisecond, a new connection ten times as much."""
_PREFIX = "hub-limits"
_GRACE_SECONDS = 60
"""What is given back to a window that has just ended must find it, or it would begin a new one below zero."""

# KEYS: the hash, the sign of life of this process. ARGV: this process, its number, the prefix of signs, their seconds.
_UNDER_WAY = """
redis.call('set', KEYS[2], 1, 'EX', ARGV[4])
if tonumber(ARGV[2]) > 0 then
  redis.call('hset', KEYS[1], ARGV[1], ARGV[2])
else
  redis.call('hdel', KEYS[1], ARGV[1])
end
local total = 0
local all = redis.call('hgetall', KEYS[1])
for i = 1, #all, 2 do
  if redis.call('exists', ARGV[3] .. all[i]) == 1 then
    total = total + tonumber(all[i + 1])
  else
    redis.call('hdel', KEYS[1], all[i])
  end
end
redis.call('expire', KEYS[1], 7200)
return total
"""

_log = structlog.stdlib.get_logger(__name__)


class SharedCounts:
    """One per process. Connects at its first use, and goes on without an answer after `DEADLINE_SECONDS`."""

    def __init__(self, url: Secret, boot_id: str, *, clock: Callable[[], float] = monotonic) -> None:
        """`url` as `redis://:password@host:port/0`, also `rediss:`, `valkey:` and `valkeys:`."""
        self._boot_id = boot_id
        self._clock = clock
        self._rests_until = 0.0
        self._is_probing = False
        self._own: dict[str, int] = {}
        """What this process has under way, by counter. Told as it is, not as it changes: what got lost heals."""
        self._pool, self._client, self._storage = _connect(url)
        self._under_way: Any = self._client.register_script(_UNDER_WAY)
        self._beating = asyncio.create_task(self._beat())

    async def add(self, additions: Sequence[Addition]) -> Sequence[int]:
        """
        Raises:
            CountsUnavailable: it did not answer in time, or has not just before.
        """
        if self._clock() < self._rests_until or self._is_probing:
            self._count_ended(additions)
            raise CountsUnavailable("it rests")
        self._is_probing = self._rests_until > 0
        own = [one for one in additions if one.ends_us is None]
        for one in own:
            self._count_own(one.counter, one.amount)
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                if len(additions) == 1:
                    totals = [await self._add(additions[0])]
                else:
                    totals = await asyncio.gather(*(self._add(one) for one in additions))
        except asyncio.CancelledError:
            raise
        except Exception as failure:  # the client raises errors of its own, of the system and of time
            if self._clock() >= self._rests_until:
                _log.warning("limits.unavailable", reason=type(failure).__name__, rests_seconds=REST_SECONDS)
            self._rests_until = self._clock() + REST_SECONDS
            for one in own:
                # What has ended has ended; what was to begin is not counted here.
                self._count_own(one.counter, -max(0, one.amount))
            raise CountsUnavailable(type(failure).__name__) from None
        finally:
            self._is_probing = False
        if self._rests_until:
            self._rests_until = 0.0
            _log.info("limits.available")
        return totals

    async def close(self) -> None:
        self._beating.cancel()
        await asyncio.gather(self._beating, return_exceptions=True)
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await self._client.delete(self._sign)
        except Exception as failure:  # it ends by itself
            _log.info("limits.not_signed_off", reason=type(failure).__name__)
        await self._pool.aclose()

    @property
    def _sign(self) -> str:
        return f"{_PREFIX}/alive/{self._boot_id}"

    async def _add(self, one: Addition) -> int:
        if one.ends_us is None:
            return await self._tell_own(one.counter)
        key = f"{one.counter}@{one.begins_us // MICROSECONDS}"
        return await self._storage.incr(key, (one.ends_us - one.begins_us) // MICROSECONDS + _GRACE_SECONDS, one.amount)

    async def _tell_own(self, counter: str) -> int:
        """Gives what all processes have under way."""
        return await self._under_way(
            keys=[f"{_PREFIX}/{counter}", self._sign],
            args=[self._boot_id, self._own.get(counter, 0), f"{_PREFIX}/alive/", LIFE_SECONDS],
        )

    def _count_own(self, counter: str, amount: int) -> None:
        own = self._own.get(counter, 0) + amount
        if own > 0:
            self._own[counter] = own
        else:
            self._own.pop(counter, None)

    def _count_ended(self, additions: Sequence[Addition]) -> None:
        for one in additions:
            if one.ends_us is None and one.amount < 0:
                self._count_own(one.counter, one.amount)

    async def _beat(self) -> None:
        """Streams last longer than a sign of life."""
        while True:
            await asyncio.sleep(LIFE_SECONDS / 3)
            if self._clock() < self._rests_until:
                continue
            try:
                async with asyncio.timeout(LIFE_SECONDS / 3):
                    await self._client.set(self._sign, 1, ex=LIFE_SECONDS)
                    for counter in list(self._own):
                        await self._tell_own(counter)
            except Exception as failure:  # the next beat tries again
                _log.warning("limits.not_beating", reason=type(failure).__name__)


def _connect(url: Secret) -> tuple[Any, Any, Any]:
    # Some 20 MB and a tenth of a second that a hub without Redis need not spend. Neither has types that we could use.
    from limits.aio.storage import RedisStorage
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    # Valkey speaks the same protocol.
    address = url.reveal().replace("valkey", "redis", 1) if url.reveal().startswith("valkey") else url.reveal()
    pool: Any = BlockingConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]
        address,
        max_connections=_CONNECTIONS,
        timeout=DEADLINE_SECONDS,
        socket_connect_timeout=DEADLINE_SECONDS,
        socket_timeout=DEADLINE_SECONDS,
        retry=Retry(NoBackoff(), 0),
        # It would tell the server its own name, and wait for the answer, at every connection.
        lib_name=None,
        lib_version=None,
    )
    storage = RedisStorage(
        f"async+{address}",
        implementation="redispy",
        key_prefix=_PREFIX,
        connection_pool=pool,
    )
    return pool, Redis(connection_pool=pool), storage
