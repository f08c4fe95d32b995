"""`/api/v2/chat/completions` and `/api/v2/completions`: the hub's older route, half OpenAI's in its requests.

Requests are read in camelCase and snake_case, with `messages` or `prompt`. Answers come in three forms, by what the
clients that are known to call here can read:

    frames  `Accept: text/event-stream`, whatever `stream` says: the SDK for Blocklets, which looks for `delta.content`,
            `delta.toolCalls`, `usage` and `error` in unnamed events. No `[DONE]`, which it cannot parse.
    chunks  `stream: true` without that header: OpenAI's SDKs. The original sends bare text there, in which they find
            nothing, and nobody else is known to read it; so they get OpenAI's chunks.
    whole   else: one object that holds the original's `role`, `text`, `content` and `toolCalls` as well as OpenAI's
            `choices` and `usage`.

The event `server-timing`, with which the original ends its frames, is left out: its own SDK only logs that it cannot
parse it, and the times are in the header `Server-Timing`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from app.base.errors import BadRequest
from app.base.usage import Usage
from app.wire.aigne import bounds, parts, settings
from app.wire.aigne.answers import text_of, thoughts_of
from app.wire.aigne.chat_client import conversation_of
from app.wire.aigne.client import FRAMES
from app.wire.aigne.completions_stream import (
    ChunkWriter,
    FrameWriter,
    head_of,
    image_entry,
    openai_finish,
    openai_usage,
)
from app.wire.aigne.spelling import places_of
from app.wire.faces import StreamWriter
from app.wire.neutral import Conversation, Image, Message, Text, ToolCall
from app.wire.neutral_answer import Answer, Reply
from app.wire.request import Request, fields_of

_encode = msgspec.json.Encoder().encode

most_output = bounds.most_output_of_completions

_PLACES = settings.PLACES | {"tool_choice": ("toolChoice",), "output": ("responseFormat",)}


def read_conversation(request: Request) -> Conversation:
    """
    Raises:
        BadRequest: a field is missing or wrong, or there is not exactly one of `messages` and `prompt`.
    """
    fields = fields_of(request)
    prompt = fields.text("prompt")
    if (prompt is None) == (not fields.has("messages")):
        raise BadRequest("Send either messages or prompt.", param="messages")
    if fields.has("n") and fields.whole("n", least=1) != 1:
        fields.unread.append("n")
    fields.drop("model", "stream", "streamOptions", "stream_options", "n")
    said = ((), (Message(role="user", parts=(Text(text=prompt, at="prompt"),), at="prompt"),)) if prompt else None
    conversation = conversation_of(fields, fields, places_of(fields, _PLACES), said)
    fields.done()
    conversation.unread = tuple(fields.unread)
    return conversation


def write_answer(answer: Answer, reply: Reply, usage: Usage | None) -> bytes:
    text = text_of(answer)
    calls = [parts.call_entry(part, is_text=True) for part in answer.parts if isinstance(part, ToolCall)]
    message: dict[str, Any] = {"role": "assistant", "content": text or None, "refusal": None}
    if thoughts := thoughts_of(answer):
        message["reasoning_content"] = thoughts
    if calls:
        message["tool_calls"] = calls
    if images := [part for part in answer.parts if isinstance(part, Image)]:
        message["images"] = [image_entry(image, n) for n, image in enumerate(images)]
    whole: dict[str, Any] = {
        **head_of(reply, "chat.completion"),
        "role": "assistant",
        "text": text,
        "content": text,
        "toolCalls": calls,
        "choices": [
            {"index": 0, "message": message, "logprobs": None, "finish_reason": openai_finish(answer.finish)},
        ],
    }
    if usage is not None:
        whole["usage"] = openai_usage(usage)
    return _encode(whole)


def stream_writer(reply: Reply) -> StreamWriter:
    return FrameWriter() if reply.form == FRAMES else ChunkWriter(reply)
