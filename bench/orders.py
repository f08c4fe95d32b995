"""What the harness asks of its client process, and what it gets back: JSON over stdin and stdout."""

import msgspec
from msgspec import Struct


class Target(Struct, frozen=True, kw_only=True):
    """One request that is sent over and over to a server on the loopback."""

    port: int
    body: bytes
    headers: dict[str, str] = {}
    path: str = "/v1/chat/completions"

    def request(self) -> bytes:
        """The request as it goes over the wire, keep-alive."""
        head = [f"POST {self.path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", *self.header_lines()]
        return "\r\n".join([*head, "", ""]).encode() + self.body

    def header_lines(self) -> list[str]:
        """The header fields that every client sends, ours and wrk alike."""
        fields = {"Content-Type": "application/json", "Content-Length": str(len(self.body)), **self.headers}
        return [f"{name}: {value}" for name, value in fields.items()]


class Load(Struct, frozen=True, kw_only=True, tag=True):
    """As many calls as go through `connections`, until `calls` are made or `seconds` are over."""

    target: Target
    connections: int
    seconds: float | None = None
    calls: int | None = None


class Latency(Struct, frozen=True, kw_only=True, tag=True):
    """`calls` calls one after the other over one connection."""

    target: Target
    calls: int


class Streams(Struct, frozen=True, kw_only=True, tag=True):
    """`streams` streams at once, begun evenly over `ramp_seconds`."""

    target: Target
    streams: int
    words: int
    """Events with content that each stream must bring, the first with the role included."""
    seconds: float
    """How long one stream takes when nobody holds it up."""
    ramp_seconds: float


class LoadResult(Struct, frozen=True, kw_only=True):
    calls: int
    """Calls that ended well; the failed ones are in `errors` alone."""
    errors: int
    seconds: float
    p50_ms: float
    p99_ms: float


class LatencyResult(Struct, frozen=True, kw_only=True):
    calls: int
    errors: int
    p50_ms: float
    p99_ms: float
    first_byte_p50_ms: float


class StreamsResult(Struct, frozen=True, kw_only=True):
    streams: int
    errors: int
    """Streams that were refused, cut off, or had fewer words than were sent."""
    words: int
    seconds: float
    gap_p50_ms: float
    gap_p99_ms: float
    gap_max_ms: float


Order = Load | Latency | Streams
encode = msgspec.json.encode


def percentile(values: list[float], percent: float) -> float:
    """The value that `percent` of the values do not exceed; 0 where nothing was measured."""
    if not values:
        return 0.0
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * percent / 100))]
