"""How much a key's calls of a model usually write: what a hold is measured by, so that it is not the worst case.

Counts of the calls before, in classes of powers of two; older ones fade. In the memory of one process: after a restart
the first calls are measured by what they ask for.
"""

from __future__ import annotations

MOST_TOKENS = 131_072
"""More than any model writes at once."""
SHORT_TOKENS = 64
"""An answer worth having: with credits for less the call is refused."""
_UNKNOWN_TOKENS = 1024
"""Where nothing is known of key, model and bound."""
_LEAST_TOKENS = 256
_QUANTILE = 0.95
_FADE_AT = 256
_FEWEST = 5
"""Calls before they say anything."""
_MAX_KNOWN = 20_000


class Forecasts:
    def __init__(self) -> None:
        self._classes: dict[tuple[str, str], list[int]] = {}

    def learn(self, key_id: str, model: str, tokens: int) -> None:
        """A call has written so many tokens."""
        known = self._classes
        counts = known.get((key_id, model))
        if counts is None:
            if len(known) >= _MAX_KNOWN:
                known.clear()
            counts = known[key_id, model] = [0] * 32
        counts[min(31, tokens.bit_length())] += 1
        if counts[min(31, tokens.bit_length())] >= _FADE_AT:
            counts[:] = [count // 2 for count in counts]

    def tokens(self, key_id: str, model: str, asked: int | None) -> int:
        """What the next call is expected to write: 95 of 100 write no more, and never more than it asks for."""
        usual = self._usual(key_id, model)
        if usual is None:
            usual = _UNKNOWN_TOKENS if asked is None else max(_LEAST_TOKENS, asked // 4)
        return usual if asked is None else min(usual, asked)

    def _usual(self, key_id: str, model: str) -> int | None:
        counts = self._classes.get((key_id, model))
        if counts is None or (total := sum(counts)) < _FEWEST:
            return None
        seen, wanted = 0, total * _QUANTILE
        for bits, count in enumerate(counts):
            seen += count
            if seen >= wanted:
                return max(SHORT_TOKENS, (1 << bits) - 1)
        return MOST_TOKENS
