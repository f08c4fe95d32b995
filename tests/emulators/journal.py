"""What the upstream remembers: every request it saw, the answers queued for the next ones, and the keys it accepts."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import Any

_KEPT_BODY_CHARS = 200_000


@dataclass
class Entry:
    """One request as it arrived, and how its answer went."""

    seq: int
    kind: str
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body_text: str = ""
    body: Any = None
    """The decoded JSON body; for multipart the fields, files as {filename, content_type, size, sha256}."""
    started_at: float = field(default_factory=time.time)
    finished_at: float | None = None
    """Unix seconds; None while the answer is under way."""
    status: int | None = None
    fault: str | None = None
    chunks_sent: int = 0
    """SSE events (or body pieces) handed to the socket before the end."""
    closed_early: bool = False
    """The caller hung up before the answer was complete."""

    def keep_body(self, raw: bytes) -> None:
        self.body_text = raw[:_KEPT_BODY_CHARS].decode("utf-8", "replace")


@dataclass
class Scripted:
    """An answer that POST /_script queued: used once (or `times`) by the next request it matches."""

    path: str | None = None
    """Ends-with match on the path; None matches all."""
    model: str | None = None
    key: str | None = None
    fault: str | None = None
    """A fault's name without `fault-`; the rest of the answer is as usual."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    """JSON to answer with; a string goes out as it is."""
    events: list[str] | None = None
    """Raw SSE pieces, each written by itself; nothing is added, not even blank lines."""
    delay_ms: int = 0
    times: int = 1


class Memory:
    """All state of one upstream. `reset` makes it as new."""

    def __init__(self, keys: dict[str, str | None]) -> None:
        self._first_keys = dict(keys)
        self.reset()

    def reset(self) -> None:
        self.entries: list[Entry] = []
        self.script: deque[Scripted] = deque()
        self.keys: dict[str, str | None] = dict(self._first_keys)
        """Accepted keys; the value is a fault that befalls every call with this key."""
        self._fault_counts: Counter[str] = Counter()
        self._last_seq = 0

    def note(self, **facts: Any) -> Entry:
        self._last_seq += 1
        entry = Entry(seq=self._last_seq, **facts)
        self.entries.append(entry)
        return entry

    def next_scripted(self, path: str, model: str, key: str) -> Scripted | None:
        for answer in self.script:
            fits = (
                (answer.path is None or path.endswith(answer.path))
                and answer.model in (None, model)
                and answer.key in (None, key)
            )
            if fits:
                answer.times -= 1
                if answer.times <= 0:
                    self.script.remove(answer)
                return answer
        return None

    def fault_is_due(self, name: str, times: int) -> bool:
        """True for the first `times` requests that name this fault."""
        self._fault_counts[name] += 1
        return self._fault_counts[name] <= times

    def as_json(self, kind: str | None, after: int) -> list[dict[str, Any]]:
        return [asdict(e) for e in self.entries if e.seq > after and kind in (None, e.kind)]
