"""The stand-in for a provider: an OpenAI-compatible server that costs next to nothing per call.

Runs in its own process (`python -m bench.upstream`), so that its CPU can be told from that of the server in front. It
looks at three things of a body: the slow model's name, `stream`, and `include_usage`. Nothing of it is checked.
"""

import asyncio
import signal
from typing import cast

import click
import httptools
import uvloop

from bench import payloads

# Compact, and as Python's json writes it.
_STREAMED = (b'"stream":true', b'"stream": true')
_USAGE_ASKED = (b'"include_usage":true', b'"include_usage": true')
_EDGE_BYTES = 2048
_SLOW = payloads.SLOW_MODEL.encode()

_JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
_STREAM_END = b"0\r\n\r\n"
_MODELS = b'{"object":"list","data":[{"id":"bench-chat","object":"model","created":1700000000,"owned_by":"bench"}]}'


class Answers:
    """What the stand-in sends, made once: whole answers, and streams as a list of writes."""

    def __init__(self, slow_events: int, slow_delay_seconds: float) -> None:
        self.models = _whole(_MODELS)
        self.chat = _whole(payloads.answer())
        self.fast = {asked: _writes(payloads.STREAM_WRITES - 3, asked) for asked in (False, True)}
        self.slow = {asked: _writes(slow_events, asked) for asked in (False, True)}
        self.slow_events = slow_events
        self.slow_delay_seconds = slow_delay_seconds


class StandIn(asyncio.Protocol):
    """One connection, kept alive; one call at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, answers: Answers) -> None:
        self._loop = loop
        self._answers = answers
        self._parser = httptools.HttpRequestParser(self)
        self._body: list[bytes] = []
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # The transports of uvloop do not declare themselves as asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            if self._transport is not None:
                self._transport.close()

    def on_body(self, body: bytes) -> None:
        # Settings stand before or after the messages; to keep and search 300 KB would cost more than all the rest. The
        # end of one piece and the beginning of the next stay side by side.
        self._body.append(body if len(body) <= 2 * _EDGE_BYTES else body[:_EDGE_BYTES] + body[-_EDGE_BYTES:])

    def on_message_complete(self) -> None:
        body = b"".join(self._body)
        self._body.clear()
        answers = self._answers
        if not body:
            self._write(answers.models)
        elif not _says(body, _STREAMED):
            self._write(answers.chat)
        elif _SLOW in body:
            self._write_slowly(answers.slow[_says(body, _USAGE_ASKED)], 0)
        else:
            self._write_next(answers.fast[_says(body, _USAGE_ASKED)], 0)

    def _write_next(self, writes: list[bytes], index: int) -> None:
        # The loop sends what was written when it turns, so one write a turn is one segment on the wire.
        self._write(writes[index])
        if index + 1 < len(writes) and self._transport is not None:
            self._loop.call_soon(self._write_next, writes, index + 1)

    def _write_slowly(self, writes: list[bytes], index: int) -> None:
        # The first write is the role; the words after it come at the pace, and the last word takes the end with it.
        if index < self._answers.slow_events:
            self._write(writes[index])
            if self._transport is not None:
                self._loop.call_later(self._answers.slow_delay_seconds, self._write_slowly, writes, index + 1)
        else:
            self._write_next(writes, index)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


def _says(body: bytes, spellings: tuple[bytes, bytes]) -> bool:
    return spellings[0] in body or spellings[1] in body


def _whole(body: bytes) -> bytes:
    return _JSON_HEAD % len(body) + body


def _writes(words: int, with_usage: bool) -> list[bytes]:
    framed = [b"%x\r\n%s\r\n" % (len(event), event) for event in payloads.events(words, with_usage=with_usage)]
    framed[0] = _STREAM_HEAD + framed[0]
    framed[-1] += _STREAM_END
    return framed


async def _serve(port: int, answers: Answers) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    await loop.create_server(lambda: StandIn(loop, answers), "127.0.0.1", port, backlog=4096)
    await stopped.wait()


@click.command()
@click.option("--port", type=int, required=True)
@click.option("--slow-events", default=40, show_default=True, help="Words of a stream of the slow model.")
@click.option("--slow-delay", default=0.5, show_default=True, help="Seconds between two of them.")
def main(port: int, slow_events: int, slow_delay: float) -> None:
    """Answer as an OpenAI-compatible provider on the loopback until SIGTERM."""
    uvloop.run(_serve(port, Answers(slow_events, slow_delay)))


if __name__ == "__main__":
    main()
