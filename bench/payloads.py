"""The request bodies of the cases, and the answers that the stand-in gives.

Every subject gets the same bytes: the names of the models are upstream names for the stand-in and aliases for the hub.
"""

import json

CHAT_MODEL = "bench-chat"
SLOW_MODEL = "bench-slow"
CHAT_PATH = "/v1/chat/completions"
MESSAGES_PATH = "/v1/messages"
STREAM_WRITES = 53
"""Server-sent events of a streamed answer, `[DONE]` included and the usage event (only when asked) not."""

_CREATED = 1_700_000_000
_ID = "chatcmpl-bench0123456789abcdefghijkl"
_USAGE = {
    "prompt_tokens": 42,
    "completion_tokens": 50,
    "total_tokens": 92,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}
_QUESTION = [
    {"role": "system", "content": "You answer in one short paragraph."},
    {"role": "user", "content": "Why does bread rise, and what stops it when the kitchen is cold?"},
]


def chat() -> bytes:
    """A small question, answered in one piece."""
    return _compact({"model": CHAT_MODEL, "messages": _QUESTION, "temperature": 0.2})


def stream() -> bytes:
    """The same question, streamed. Usage is not asked for, so a hub that wants it has to ask and withhold it."""
    return _compact({"model": CHAT_MODEL, "messages": _QUESTION, "temperature": 0.2, "stream": True})


def messages() -> bytes:
    """The same, as a client of Anthropic asks it: the stand-in does not speak that format, so the hub translates."""
    system, question = _QUESTION
    said = {"system": system["content"], "messages": [question], "max_tokens": 500, "temperature": 0.2, "stream": True}
    return _compact({"model": CHAT_MODEL, **said})


def slow() -> bytes:
    """A stream whose events come at the pace that the stand-in was started with."""
    return _compact({"model": SLOW_MODEL, "messages": _QUESTION, "stream": True})


def big() -> bytes:
    """300 KB: a long conversation of some 140 turns, with the escapes and letters that such text has."""
    turn = 'Line one says "no".\n\tLine two: naïve café, 1 < 2 & C:\\path. ' * 32
    turns = [{"role": ("user", "assistant")[n % 2], "content": f"{n}: {turn}"} for n in range(137)]
    return _compact({"model": CHAT_MODEL, "messages": [*turns, *_QUESTION]})


def answer() -> bytes:
    """A chat completion of some 600 bytes."""
    text = "Yeast eats sugar and gives off gas, which the dough holds. In the cold it works slowly, so give it time."
    message: dict[str, object] = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    return _compact(
        {
            "id": _ID,
            "object": "chat.completion",
            "created": _CREATED,
            "model": CHAT_MODEL,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": _USAGE,
            "service_tier": "default",
            "system_fingerprint": "fp_bench",
        }
    )


def events(words: int, *, with_usage: bool) -> list[bytes]:
    """A streamed answer: the role, `words` words, the finish, perhaps the usage, `[DONE]`."""
    deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}, *({"content": " rise"} for _ in range(words))]
    chunks = [_chunk(delta, None, with_usage=with_usage) for delta in deltas]
    chunks.append(_chunk({}, "stop", with_usage=with_usage))
    if with_usage:
        chunks.append(_event({**_envelope(), "choices": [], "usage": _USAGE}))
    return [*chunks, b"data: [DONE]\n\n"]


def _chunk(delta: dict[str, str], finish: str | None, *, with_usage: bool) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _event({**_envelope(), "choices": [choice]} | ({"usage": None} if with_usage else {}))


def _envelope() -> dict[str, object]:
    return {
        "id": _ID,
        "object": "chat.completion.chunk",
        "created": _CREATED,
        "model": CHAT_MODEL,
        "system_fingerprint": "fp_bench",
    }


def _event(document: dict[str, object]) -> bytes:
    return b"data: " + _compact(document) + b"\n\n"


def _compact(document: dict[str, object]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
