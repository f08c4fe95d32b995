"""What Prometheus sees of this process. Labels are bounded: providers and endpoints, never models, keys or teams."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)


class Metrics:
    """One registry per hub, so that two hubs in one process (tests) do not meet."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._calls = Counter("hub_calls", "Calls ended.", ("endpoint", "provider", "status"), registry=self._registry)
        self._attempts = Counter(
            "hub_attempts", "Tries at providers.", ("provider", "outcome"), registry=self._registry
        )
        self._tokens = Counter("hub_tokens", "Tokens counted.", ("provider", "direction"), registry=self._registry)
        self._estimated = Counter(
            "hub_usage_estimated", "Calls whose usage no provider reported.", ("provider",), registry=self._registry
        )
        self._first_byte = Histogram(
            "hub_first_byte_seconds",
            "Until the answer began.",
            ("provider",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._children: dict[tuple[Counter, tuple[str, ...]], Counter] = {}
        self._first_byte_children: dict[str, Histogram] = {}

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A number that is read when somebody looks."""
        Gauge(name, text, registry=self._registry).set_function(read)

    def call_ended(self, *, endpoint: str, provider: str, status: str, first_byte_us: int | None) -> None:
        self._child(self._calls, endpoint, provider, status).inc()
        if first_byte_us is not None:
            histogram = self._first_byte_children.get(provider)
            if histogram is None:
                histogram = self._first_byte_children[provider] = self._first_byte.labels(provider)
            histogram.observe(first_byte_us / 1_000_000)

    def attempt_ended(self, provider: str, outcome: str) -> None:
        self._child(self._attempts, provider, outcome).inc()

    def tokens_counted(self, provider: str, *, tokens_in: int, tokens_out: int, is_estimated: bool) -> None:
        self._child(self._tokens, provider, "in").inc(tokens_in)
        self._child(self._tokens, provider, "out").inc(tokens_out)
        if is_estimated:
            self._child(self._estimated, provider).inc()

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)

    def _child(self, family: Counter, *labels: str) -> Counter:
        # `labels()` takes a lock and builds tuples; on the hot path a look-up of our own is several times cheaper.
        key = (family, labels)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = family.labels(*labels)
        return child
