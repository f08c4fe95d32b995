"""How providers are doing, as this process sees it: which credentials rest, and for which model.

A refusal for a rate limit rests what it names (one model, or the whole credential) for as long as the provider says.
Failures in a row open a breaker; when its time is over, one probe goes through, and its outcome closes the breaker or
opens it for twice as long.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

BREAKER_FAILURES = 5
"""Failures in a row that open a breaker."""
BREAKER_SECONDS = 15.0
BREAKER_MAX_SECONDS = 300.0
PROBE_SECONDS = 150.0
"""A probe that has not come back by then is forgotten and another may go."""
MAX_ENTRIES = 20_000

EVERY_MODEL = ""


class _State(Struct):
    rests_until: float = 0.0
    is_limited: bool = False
    """Resting for a rate limit rather than for failures."""
    failures: int = 0
    open_seconds: float = 0.0
    """0: the breaker is closed."""
    probe_until: float = 0.0


class Health:
    """Keyed by credential and upstream model; `EVERY_MODEL` is the credential as a whole."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._states: dict[tuple[str, str], _State] = {}

    def rests_for(self, credential_id: str, model: str) -> float:
        """Seconds until it may be tried; 0 when it may be tried now."""
        if not self._states:
            return 0.0
        now = self._clock()
        return max(self._rest(credential_id, EVERY_MODEL, now), self._rest(credential_id, model, now))

    def is_limited(self, credential_id: str, model: str) -> bool:
        """Whether what rests it is a rate limit."""
        states = (self._states.get((credential_id, scope)) for scope in (EVERY_MODEL, model))
        return any(state is not None and state.is_limited and state.rests_until > self._clock() for state in states)

    def begin(self, credential_id: str, model: str) -> None:
        """A try begins. After a breaker's time it is the probe, and others wait for its outcome."""
        state = self._states.get((credential_id, model))
        if state is not None and state.open_seconds:
            state.probe_until = self._clock() + PROBE_SECONDS

    def succeeded(self, credential_id: str, model: str) -> None:
        if self._states:
            self._states.pop((credential_id, model), None)
            whole = self._states.get((credential_id, EVERY_MODEL))
            if whole is not None and whole.rests_until <= self._clock():
                del self._states[credential_id, EVERY_MODEL]

    def abandoned(self, credential_id: str, model: str) -> None:
        """A try ended without telling anything about the provider (the client left): the next may probe."""
        state = self._states.get((credential_id, model))
        if state is not None:
            state.probe_until = 0.0

    def rest(self, credential_id: str, model: str, seconds: float, *, is_limited: bool) -> None:
        """Leave it alone for so long, never shorter than it rests already."""
        state = self._state(credential_id, model)
        state.rests_until = max(state.rests_until, self._clock() + seconds)
        state.is_limited = is_limited
        state.probe_until = 0.0

    def failed(self, credential_id: str, model: str) -> None:
        """A failure of the provider; enough of them in a row open the breaker."""
        state = self._state(credential_id, model)
        is_open = state.open_seconds > 0 and not state.probe_until and state.rests_until > self._clock()
        if is_open:
            # One of those that were under way when it opened. They tell nothing new, however many they are.
            return
        state.failures += 1
        state.probe_until = 0.0
        if state.failures >= BREAKER_FAILURES:
            state.open_seconds = min(state.open_seconds * 2 or BREAKER_SECONDS, BREAKER_MAX_SECONDS)
            state.rests_until = max(state.rests_until, self._clock() + state.open_seconds)
            state.is_limited = False

    def _rest(self, credential_id: str, model: str, now: float) -> float:
        state = self._states.get((credential_id, model))
        return 0.0 if state is None else max(state.rests_until, state.probe_until) - now

    def _state(self, credential_id: str, model: str) -> _State:
        if len(self._states) >= MAX_ENTRIES:
            now = self._clock()
            self._states = {key: state for key, state in self._states.items() if state.rests_until > now}
        return self._states.setdefault((credential_id, model), _State())
