"""The built-in demo provider: answers in OpenAI's shapes, made in this process from the request alone.

It lets a hub without any provider key show its main job. Every text says that it is the demo; nothing is random and
nothing goes out to a network. `demo_chat.py` says how its answers are made and its tokens counted.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import math
import struct
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, cast

import msgspec
from multidict import CIMultiDict

from app.adapters.providers import demo_chat, demo_media
from app.adapters.providers.demo_chat import Bad, Choice, Object
from app.base.errors import AppError
from app.wire.openai import body, endpoints
from app.wire.request import Incoming, Outgoing

MODELS: tuple[tuple[str, str], ...] = (
    ("chat", "chat"),
    ("embed", "embedding"),
    ("image", "image"),
    ("speech", "speech"),
    ("transcribe", "transcription"),
    ("moderate", "moderation"),
)
"""(upstream model, type). Any name is answered; the endpoint decides what comes."""

PAUSE_SECONDS = 0.015
"""Between two pieces of a stream."""

_MOST_INPUTS = 2_048
_DEFAULT_DIMENSIONS = 256
_JSON = "application/json"
_DONE = b"data: [DONE]\n\n"
_PICTURE_TOKENS = 64


class DemoAnswer:
    """What a provider would have sent, as a `client.UpstreamAnswer`: in one piece, or in pieces with pauses."""

    def __init__(self, status: int, content_type: str, pieces: list[bytes]) -> None:
        self.status = status
        self.headers: Mapping[str, str] = CIMultiDict({"Content-Type": content_type})
        self._pieces = deque(pieces)
        self._has_begun = False

    async def piece(self) -> bytes:
        if not self._pieces:
            return b""
        if self._has_begun:
            await asyncio.sleep(PAUSE_SECONDS)
        self._has_begun = True
        return self._pieces.popleft() if self._pieces else b""

    async def read(self, limit: int) -> bytes:
        content = b"".join(self._pieces)
        self._pieces.clear()
        return content[:limit]

    def close(self) -> None:
        self._pieces.clear()


async def answer(endpoint: str, content: Outgoing | Mapping[str, Any]) -> DemoAnswer:
    """The answer to a call of `endpoint` (our name, `chat.completions`).

    `content` is the body as it would go out, or its fields, the file of a form as bytes. What is wrong with it is
    an answer too, in the shape of OpenAI's errors.
    """
    if endpoint not in _MAKERS:
        return _refusal(f"The demo has no {endpoint}.", None, status=404)
    # Lets others run between two calls that do not stream: a demo must not hold up the server.
    await asyncio.sleep(0)
    try:
        return _MAKERS[endpoint](endpoint, _fields(endpoint, content))
    except Bad as problem:
        return _refusal(problem.sentence, problem.param)


def _refusal(sentence: str, param: str | None, *, status: int = 400) -> DemoAnswer:
    error = {"message": sentence, "type": "invalid_request_error", "param": param, "code": "demo_refused"}
    return DemoAnswer(status, _JSON, [msgspec.json.encode({"error": error})])


def _fields(endpoint: str, content: Outgoing | Mapping[str, Any]) -> Object:
    if not isinstance(content, Outgoing):
        return dict(content)
    if content.content_type.startswith("multipart/"):
        return _form(endpoint, content)
    try:
        decoded: Any = msgspec.json.decode(content.content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Bad("The body is not JSON.", None) from None
    if not isinstance(decoded, dict):
        raise Bad("The body is not a JSON object.", None)
    return cast(Object, decoded)


def _form(endpoint: str, outgoing: Outgoing) -> Object:
    row = next(row for row in endpoints.ENDPOINTS if row.name == endpoint)
    try:
        headers = {b"content-type": outgoing.content_type.encode()}
        parts = body.read(row, Incoming(path=row.path, headers=headers, body=outgoing.content)).parts
    except AppError as problem:
        raise Bad(problem.sentence, problem.param) from None
    return {part.name: part.content if part.is_file else part.content.decode(errors="replace") for part in parts}


def _text_of(request: Object, name: str) -> str:
    value = request.get(name)
    if not isinstance(value, str) or not value:
        raise Bad(f"{name} must be a text that is not empty.", name)
    return value


def _whole(made: Object) -> DemoAnswer:
    return DemoAnswer(200, _JSON, [msgspec.json.encode(made)])


def _streamed(events: list[bytes]) -> DemoAnswer:
    return DemoAnswer(200, "text/event-stream", events)


def _event(payload: Object) -> bytes:
    return b"data: " + msgspec.json.encode(payload) + b"\n\n"


def _chat(_endpoint: str, request: Object) -> DemoAnswer:
    made = demo_chat.choices(request)
    if request.get("stream") is True:
        return _streamed(_stream(request, made, "chat.completion.chunk", _chat_deltas))
    head = _head(request, "chatcmpl", "chat.completion")
    listed = [
        {"index": index, "message": _message(choice), "logprobs": None, "finish_reason": choice.finish_reason}
        for index, choice in enumerate(made)
    ]
    return _whole({**head, "choices": listed, "usage": _usage(request, made)})


def _completion(_endpoint: str, request: Object) -> DemoAnswer:
    made = demo_chat.completion_choices(request)
    if request.get("stream") is True:
        return _streamed(_stream(request, made, "text_completion", _completion_deltas))
    head = _head(request, "cmpl", "text_completion")
    listed = [
        {"index": index, "text": choice.text, "logprobs": None, "finish_reason": choice.finish_reason}
        for index, choice in enumerate(made)
    ]
    return _whole({**head, "choices": listed, "usage": _usage(request, made)})


def _head(request: Object, prefix: str, kind: str) -> Object:
    digest = hashlib.sha256(msgspec.json.encode(request)).hexdigest()[:24]
    return {
        "id": f"{prefix}-demo{digest}",
        "object": kind,
        "created": int(time.time()),
        "model": str(request.get("model") or "chat"),
        "system_fingerprint": "demo",
    }


def _usage(request: Object, made: list[Choice]) -> Object:
    prompt = demo_chat.prompt_tokens(request)
    completion = sum(len(choice.pieces) for choice in made)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _message(choice: Choice) -> Object:
    message: Object = {"role": "assistant", "content": choice.text if choice.tool is None else None, "refusal": None}
    if choice.tool is not None:
        called = {"name": choice.tool, "arguments": choice.text}
        message["tool_calls"] = [{"id": choice.call_id, "type": "function", "function": called}]
    return message


def _stream(request: Object, made: list[Choice], kind: str, deltas: Any) -> list[bytes]:
    is_chat = kind == "chat.completion.chunk"
    head = _head(request, "chatcmpl" if is_chat else "cmpl", kind)
    options: Any = request.get("stream_options")
    wants_usage = isinstance(options, dict) and cast(Object, options).get("include_usage") is True
    every = {"usage": None} if wants_usage else {}
    events = [
        _event({**head, "choices": [{"index": index, "logprobs": None, **delta}], **every})
        for index, choice in enumerate(made)
        for delta in deltas(choice)
    ]
    if wants_usage:
        events.append(_event({**head, "choices": [], "usage": _usage(request, made)}))
    return [*events, _DONE]


def _chat_deltas(choice: Choice) -> list[Object]:
    if choice.tool is None:
        given: list[Object] = [{"role": "assistant", "content": ""}, *({"content": piece} for piece in choice.pieces)]
    else:
        called = {"index": 0, "id": choice.call_id, "type": "function"}
        opened = {**called, "function": {"name": choice.tool, "arguments": ""}}
        given = [{"role": "assistant", "content": None, "tool_calls": [opened]}]
        given += [{"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in choice.pieces]
    return [
        *({"delta": delta, "finish_reason": None} for delta in given),
        {"delta": {}, "finish_reason": choice.finish_reason},
    ]


def _completion_deltas(choice: Choice) -> list[Object]:
    pieces = [{"text": piece, "finish_reason": None} for piece in choice.pieces]
    return [*pieces, {"text": "", "finish_reason": choice.finish_reason}]


def _embeddings(_endpoint: str, request: Object) -> DemoAnswer:
    given: Any = request.get("input")
    inputs = _inputs(given)
    dimensions = demo_chat.count_of(request, "dimensions", _DEFAULT_DIMENSIONS, demo_media.MAX_DIMENSIONS)
    is_base64 = request.get("encoding_format") == "base64"
    listed: list[Object] = []
    for index, text in enumerate(inputs):
        vector = demo_media.vector(text, dimensions)
        packed = base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode() if is_base64 else vector
        listed.append({"object": "embedding", "index": index, "embedding": packed})
    tokens = sum(-(-len(text) // 4) for text in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return _whole({"object": "list", "data": listed, "model": str(request.get("model") or "embed"), "usage": usage})


def _inputs(given: Any) -> list[str]:
    """One text for each vector wanted; token numbers count as the text that lists them."""
    if isinstance(given, str) and given:
        return [given]
    if not isinstance(given, list) or not given:
        raise Bad("input must be a text, or a list that is not empty.", "input")
    many = cast(list[Any], given)
    if all(type(one) is int for one in many):
        return [repr(many)]
    if len(many) > _MOST_INPUTS or not all(type(one) in (str, list) and one for one in many):
        raise Bad(f"input must be texts or lists of tokens, {_MOST_INPUTS} at most, none of them empty.", "input")
    return [one if isinstance(one, str) else repr(one) for one in many]


def _images(_endpoint: str, request: Object) -> DemoAnswer:
    prompt = _text_of(request, "prompt")
    wanted: Any = request.get("n")
    is_number = isinstance(wanted, str) and wanted.isdecimal() and len(wanted) < 4
    number = demo_chat.count_of({"n": int(wanted) if is_number else wanted}, "n", 1, 10)
    pictures = [base64.b64encode(demo_media.picture(prompt, at)).decode() for at in range(number)]
    given, made = -(-len(prompt) // 4), _PICTURE_TOKENS * number
    usage = {
        "input_tokens": given,
        "output_tokens": made,
        "total_tokens": given + made,
        "input_tokens_details": {"text_tokens": given, "image_tokens": 0},
    }
    if request.get("stream") in (True, "true"):
        kind = "image_edit.completed" if "image" in request or "image[]" in request else "image_generation.completed"
        completed = {"type": kind, "b64_json": pictures[0], "output_format": "png", "usage": usage}
        return _streamed([f"event: {kind}\n".encode() + _event(completed)])
    listed = [{"b64_json": one} for one in pictures]
    return _whole({"created": int(time.time()), "data": listed, "output_format": "png", "usage": usage})


def _speech(_endpoint: str, request: Object) -> DemoAnswer:
    """A tone, as WAV whatever format is asked for: the demo has no encoder."""
    return DemoAnswer(200, "audio/wav", [demo_media.tone(_text_of(request, "input"))])


def _transcript(endpoint: str, request: Object) -> DemoAnswer:
    file = request.get("file")
    if not isinstance(file, bytes) or not file:
        raise Bad("file must be a sound file that is not empty.", "file")
    done = "translated" if endpoint == "audio.translations" else "transcribed"
    text = f"This is the built-in demo model. It has {done} a file of {len(file)} bytes."
    seconds = demo_media.duration_seconds(file)
    usage = {"type": "duration", "seconds": math.ceil(seconds)}
    wanted = request.get("response_format") or "json"
    if request.get("stream") == "true" and endpoint == "audio.transcriptions":
        deltas = [_event({"type": "transcript.text.delta", "delta": piece}) for piece in (text[:32], text[32:])]
        return _streamed([*deltas, _event({"type": "transcript.text.done", "text": text, "usage": usage})])
    if wanted in ("text", "srt", "vtt"):
        timed = f"00:00:00{{0}}000 --> 00:00:{min(59, math.ceil(seconds)):02}{{0}}000\n{text}\n"
        shapes = {"text": f"{text}\n", "srt": f"1\n{timed.format(',')}", "vtt": f"WEBVTT\n\n{timed.format('.')}"}
        return DemoAnswer(200, "text/plain; charset=utf-8", [shapes[str(wanted)].encode()])
    if wanted == "verbose_json":
        segment: Object = {
            "id": 0,
            "seek": 0,
            "start": 0.0,
            "end": seconds,
            "text": text,
            "tokens": [],
            "temperature": 0.0,
        }
        segment |= {"avg_logprob": 0.0, "compression_ratio": 1.0, "no_speech_prob": 0.0}
        verbose: Object = {
            "task": done[:-1],
            "language": "english",
            "duration": seconds,
            "text": text,
            "segments": [segment],
        }
        return _whole({**verbose, "usage": usage})
    return _whole({"text": text, "usage": usage})


_CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)


def _moderations(_endpoint: str, request: Object) -> DemoAnswer:
    given: Any = request.get("input")
    if not isinstance(given, str | list) or not given:
        raise Bad("input must be a text or a list that is not empty.", "input")
    many: list[Any] = [*cast(list[Any], given)] if isinstance(given, list) else [given]
    # A list of objects is one text with pictures, a list of texts is as many.
    number = min(len(many), _MOST_INPUTS) if all(isinstance(one, str) for one in many) else 1
    result = {
        "flagged": False,
        "categories": dict.fromkeys(_CATEGORIES, False),
        "category_scores": dict.fromkeys(_CATEGORIES, 0.0),
        "category_applied_input_types": {name: ["text"] for name in _CATEGORIES},
    }
    return _whole({"id": "modr-demo", "model": str(request.get("model") or "moderate"), "results": [result] * number})


_MAKERS = {
    "chat.completions": _chat,
    "completions": _completion,
    "embeddings": _embeddings,
    "images.generations": _images,
    "images.edits": _images,
    "audio.speech": _speech,
    "audio.transcriptions": _transcript,
    "audio.translations": _transcript,
    "moderations": _moderations,
}
