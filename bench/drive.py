"""The client process: takes one order on stdin, does it, writes the result to stdout (`python -m bench.drive`).

A process of its own, so that its work is not counted as a server's and its loop is not held up by the harness.
"""

import asyncio
import contextlib
import socket
import sys
import time
from typing import cast

import httptools
import msgspec
import uvloop

from bench import orders
from bench.orders import Latency, LatencyResult, Load, LoadResult, Streams, StreamsResult, percentile

_LATENCY_TIMEOUT_SECONDS = 30.0
_LOAD_GRACE_SECONDS = 30.0
_STREAM_GRACE_SECONDS = 30.0
_MAX_ERRORS = 1000
"""A load that failed this often is ended: the server is gone or refuses everything."""


class Answer:
    """Reads answers from one connection, one after the other."""

    def __init__(self) -> None:
        self.is_complete = False
        self.status = 0
        self.body_bytes = 0
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Take what arrived.

        Raises:
            httptools.HttpParserError: this is not HTTP.
        """
        self._parser.feed_data(data)

    def begin(self) -> None:
        self.is_complete = False
        self.body_bytes = 0

    def on_body(self, body: bytes) -> None:
        self.body_bytes += len(body)

    def on_message_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self.is_complete = True


def measure_latency(order: Latency) -> LatencyResult:
    """Blocking calls over one connection: nothing but the socket and the parser stands between two moments."""
    request = order.target.request()
    whole_ms: list[float] = []
    first_ms: list[float] = []
    errors = 0
    connection = _connect(order.target.port)
    answer = Answer()
    for _ in range(order.calls):
        answer.begin()
        begun = time.perf_counter()
        first = 0.0
        try:
            connection.sendall(request)
            while not answer.is_complete:
                data = connection.recv(65536)
                if not data:
                    raise ConnectionResetError
                answer.feed(data)
                # The head of a stream may come long before its first event; an answer begins with its body.
                if not first and answer.body_bytes:
                    first = time.perf_counter()
        except (OSError, httptools.HttpParserError):
            errors += 1
            connection.close()
            connection = _connect(order.target.port)
            answer = Answer()
            continue
        ended = time.perf_counter()
        if answer.status != 200:
            errors += 1
            continue
        whole_ms.append((ended - begun) * 1e3)
        first_ms.append((first - begun) * 1e3)
    connection.close()
    return LatencyResult(
        calls=len(whole_ms),
        errors=errors,
        p50_ms=percentile(whole_ms, 50),
        p99_ms=percentile(whole_ms, 99),
        first_byte_p50_ms=percentile(first_ms, 50),
    )


class LoadTally:
    """What the connections of a load share."""

    def __init__(self, order: Load) -> None:
        self.request = order.target.request()
        self.latencies_ms: list[float] = []
        self.errors = 0
        self.left = order.calls if order.calls is not None else sys.maxsize
        self.ends_at = time.perf_counter() + (order.seconds if order.seconds is not None else 1e9)
        self.open = 0
        self.done = asyncio.Event()

    def take(self) -> bool:
        """Whether one more call may begin; it is counted as begun."""
        if self.left <= 0 or self.errors >= _MAX_ERRORS or time.perf_counter() >= self.ends_at:
            return False
        self.left -= 1
        return True


class LoadConnection(asyncio.Protocol, Answer):
    """One connection that calls as often as the tally lets it."""

    def __init__(self, tally: LoadTally) -> None:
        Answer.__init__(self)
        self._tally = tally
        self._begun = 0.0
        self._is_waiting = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # The transports of uvloop do not declare themselves as asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._tally.open += 1
        self._call()

    def connection_lost(self, exc: Exception | None) -> None:
        tally = self._tally
        if self._is_waiting:
            tally.errors += 1
        tally.open -= 1
        self._transport = None
        if tally.open == 0:
            tally.done.set()

    def data_received(self, data: bytes) -> None:
        try:
            self.feed(data)
        except httptools.HttpParserError:
            self._close()

    def on_message_complete(self) -> None:
        Answer.on_message_complete(self)
        self._is_waiting = False
        if self.status == 200:
            self._tally.latencies_ms.append((time.perf_counter() - self._begun) * 1e3)
        else:
            self._tally.errors += 1
        self._call()

    def _call(self) -> None:
        if self._transport is None:
            return
        if not self._tally.take():
            self._close()
            return
        self._is_waiting = True
        self._begun = time.perf_counter()
        self._transport.write(self._tally.request)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()


async def measure_load(order: Load) -> LoadResult:
    """Closed-loop load; a connection that the server ends is replaced until the order is done."""
    tally = LoadTally(order)
    loop = asyncio.get_running_loop()
    begun = time.perf_counter()
    give_up_at = begun + (order.seconds if order.seconds is not None else 3600) + _LOAD_GRACE_SECONDS
    may_go_on = True
    while may_go_on:
        tally.done.clear()
        for _ in range(order.connections):
            try:
                await loop.create_connection(lambda: LoadConnection(tally), "127.0.0.1", order.target.port)
            except OSError:
                tally.errors += 1
        if tally.open:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(tally.done.wait(), give_up_at - time.perf_counter())
        now = time.perf_counter()
        may_go_on = tally.left > 0 and tally.errors < _MAX_ERRORS and now < min(tally.ends_at, give_up_at)
    # Calls that hang beyond the grace time are neither answered nor refused: they failed.
    tally.errors += tally.open
    return LoadResult(
        calls=len(tally.latencies_ms),
        errors=tally.errors,
        seconds=time.perf_counter() - begun,
        p50_ms=percentile(tally.latencies_ms, 50),
        p99_ms=percentile(tally.latencies_ms, 99),
    )


class StreamConnection(asyncio.Protocol, Answer):
    """One slow stream: notes how long each word kept it waiting."""

    def __init__(self, request: bytes, gaps_ms: list[float]) -> None:
        Answer.__init__(self)
        self._request = request
        self._gaps_ms = gaps_ms
        self._rest = b""
        self._last = 0.0
        self._transport: asyncio.Transport | None = None
        self.words = 0
        self.has_end = False
        self.is_over = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # The transports of uvloop do not declare themselves as asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_over.set()

    def data_received(self, data: bytes) -> None:
        try:
            self.feed(data)
        except httptools.HttpParserError:
            self.status = 0
            self.close()

    def on_body(self, body: bytes) -> None:
        *events, self._rest = (self._rest + body).split(b"\n\n")
        now = time.perf_counter()
        for event in events:
            if b'"content"' in event:
                if self.words:
                    self._gaps_ms.append((now - self._last) * 1e3)
                self._last = now
                self.words += 1
            elif b"[DONE]" in event:
                self.has_end = True

    def on_message_complete(self) -> None:
        Answer.on_message_complete(self)
        self.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


async def measure_streams(order: Streams) -> StreamsResult:
    """All streams at once; the order says how many words each of them must bring."""
    loop = asyncio.get_running_loop()
    request = order.target.request()
    gaps_ms: list[float] = []
    words: list[int] = []
    begun = time.perf_counter()

    async def one(index: int) -> bool:
        await asyncio.sleep(index * order.ramp_seconds / order.streams)
        try:
            _, stream = await loop.create_connection(
                lambda: StreamConnection(request, gaps_ms), "127.0.0.1", order.target.port
            )
        except OSError:
            return False
        try:
            await asyncio.wait_for(stream.is_over.wait(), order.seconds + _STREAM_GRACE_SECONDS)
        except TimeoutError:
            stream.close()
        words.append(stream.words)
        return stream.status == 200 and stream.is_complete and stream.has_end and stream.words == order.words

    ended_well = await asyncio.gather(*(one(index) for index in range(order.streams)))
    return StreamsResult(
        streams=order.streams,
        errors=order.streams - sum(ended_well),
        words=sum(words),
        seconds=time.perf_counter() - begun,
        gap_p50_ms=percentile(gaps_ms, 50),
        gap_p99_ms=percentile(gaps_ms, 99),
        gap_max_ms=max(gaps_ms, default=0.0),
    )


def _do(order: orders.Order) -> LatencyResult | LoadResult | StreamsResult:
    match order:
        case Latency():
            return measure_latency(order)
        case Load():
            return uvloop.run(measure_load(order))
        case Streams():
            return uvloop.run(measure_streams(order))


def _connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=_LATENCY_TIMEOUT_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def main() -> None:
    """Do the order on stdin."""
    order: orders.Order = msgspec.json.decode(sys.stdin.buffer.read(), type=orders.Order)
    sys.stdout.buffer.write(orders.encode(_do(order)))


if __name__ == "__main__":
    main()
