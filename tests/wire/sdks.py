"""Streams read by the vendors' own libraries, without a network: what they refuse is no valid stream."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import httpx
import httpx2
import openai
from google import genai
from google.genai import types

from app.wire.gemini.array_stream import ArrayOfEvents

_EVENTS = {"content-type": "text/event-stream"}


def chat(stream: bytes) -> list[Any]:
    """The chunks, which the library's own accumulator has taken too."""
    with _openai(stream) as client:
        chunks = list(client.chat.completions.create(model="m", messages=[], stream=True))
    with _openai(stream) as client, client.chat.completions.stream(model="m", messages=[]) as helper:
        for _ in helper:
            pass
    return chunks


def completions(stream: bytes) -> list[Any]:
    with _openai(stream) as client:
        return list(client.completions.create(model="m", prompt="p", stream=True))


def events(stream: bytes) -> list[Any]:
    """Of pictures."""
    with _openai(stream) as client:
        return list(client.images.generate(model="m", prompt="p", stream=True))


def responses(stream: bytes) -> list[Any]:
    with _openai(stream) as client:
        plain = list(client.responses.create(model="m", input="i", stream=True))
    with _openai(stream) as client, client.responses.stream(model="m", input="i") as helper:
        for _ in helper:
            pass
    return plain


def messages(stream: bytes) -> Any:
    """The message that the library puts together."""
    with (
        httpx2.Client(
            transport=httpx2.MockTransport(lambda _: httpx2.Response(200, headers=_EVENTS, content=stream))
        ) as web,
        anthropic.Anthropic(api_key="k", base_url="http://hub", http_client=web, max_retries=0) as client,
        client.messages.stream(model="m", max_tokens=5, messages=[{"role": "user", "content": "hi"}]) as helper,
    ):
        return helper.get_final_message()


def gemini(stream: bytes) -> list[Any]:
    with (
        httpx.Client(
            transport=httpx.MockTransport(lambda _: httpx.Response(200, headers=_EVENTS, content=stream))
        ) as web,
        genai.Client(api_key="k", http_options=types.HttpOptions(base_url="http://hub", httpx_client=web)) as client,
    ):
        return list(client.models.generate_content_stream(model="m", contents="hi"))


def gemini_array(*pieces: bytes) -> list[Any]:
    """What a client gets that does not ask for events."""
    array = ArrayOfEvents()
    whole = b"".join(array.feed(piece) for piece in pieces[:-1]) + array.end(pieces[-1])
    return [types.GenerateContentResponse.model_validate(one) for one in json.loads(whole)]


def _openai(stream: bytes) -> openai.OpenAI:
    answer = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=_EVENTS, content=stream))
    return openai.OpenAI(api_key="k", base_url="http://hub", http_client=httpx2.Client(transport=answer), max_retries=0)
