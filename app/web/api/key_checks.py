"""How often each key may ask whether other keys are live: so seldom that nobody can look for keys that way."""

from __future__ import annotations

from time import monotonic

from app.base.errors import LimitReached

PER_MINUTE = 10
_MINUTE_SECONDS = 60.0


class KeyChecks:
    """The count of one process."""

    def __init__(self) -> None:
        self._began_at = 0.0
        self._counts: dict[str, int] = {}

    def take(self, key_id: str) -> None:
        """
        Raises:
            LimitReached: this key has asked too often in this minute.
        """
        now = monotonic()
        if now - self._began_at >= _MINUTE_SECONDS:
            self._began_at, self._counts = now, {}
        count = self._counts[key_id] = self._counts.get(key_id, 0) + 1
        if count > PER_MINUTE:
            raise LimitReached(
                f"A key may ask {PER_MINUTE} times a minute whether keys are live.",
                retry_after_seconds=int(_MINUTE_SECONDS - (now - self._began_at)) + 1,
            )
