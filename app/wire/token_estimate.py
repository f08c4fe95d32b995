"""How many tokens an input comes to, where no provider counts them: a guess, and told as one.

Four characters of Latin script make a token and one or two of the others; what JSON puts around tools and their
arguments counts like text. A picture counts as what the large vendors take for one of medium size.
"""

from __future__ import annotations

from app.wire import request as requests
from app.wire.neutral import (
    Audio,
    Conversation,
    File,
    Image,
    Part,
    Reasoning,
    Refusal,
    Source,
    Text,
    ToolCall,
    ToolResult,
)
from app.wire.request import Request

_PER_MESSAGE = 4
_PICTURE = 1_000
_ASCII_PER_TOKEN = 4
_OTHER_PER_TOKEN = 1.5
_SOUND_BYTES_PER_TOKEN = 500
"""16 kB/s of compressed speech at some 32 tokens a second."""
_DOCUMENT_BYTES_PER_TOKEN = 40
_BY_URL = 1_500
"""Of a document or sound whose size is not known."""
_BYTES_PER_TOKEN = 4


def estimate(conversation: Conversation) -> int:
    """Tokens of the whole input: instructions, turns, tools and the schema of the answer."""
    count = sum(_text(text.text) for text in conversation.system)
    for message in conversation.messages:
        count += _PER_MESSAGE + sum(_part(part) for part in message.parts)
    for tool in conversation.tools:
        count += _PER_MESSAGE + _text(tool.name) + _text(tool.description or "") + _json(bytes(tool.parameters))
    output = conversation.output
    if output is not None and output.schema is not None:
        count += _json(bytes(output.schema))
    return max(1, count)


def input_estimate(request: Request) -> int:
    """Tokens of what a client sends, before anybody has read it: the same charge for each file, whatever its size.

    Rounded up. The body is passed over once and not decoded.
    """
    files = requests.files(request)
    text = -(-requests.text_bytes(request, files) // _BYTES_PER_TOKEN)
    return text + _BY_URL * (len(files) + requests.addresses(request))


def _part(part: Part) -> int:
    match part:
        case Text() | Reasoning() | Refusal():
            return _text(part.text)
        case ToolCall():
            return _PER_MESSAGE + _text(part.name) + _json(bytes(part.arguments))
        case ToolResult():
            return _PER_MESSAGE + sum(_part(inner) for inner in part.parts)
        case Image():
            return _PICTURE
        case Audio():
            return _file(part.source, _SOUND_BYTES_PER_TOKEN)
        case File():
            return _file(part.source, _DOCUMENT_BYTES_PER_TOKEN)


def _text(text: str) -> int:
    plain = sum(map(str.isascii, text)) if not text.isascii() else len(text)
    return -(-plain // _ASCII_PER_TOKEN) + int(-(-(len(text) - plain) // _OTHER_PER_TOKEN))


def _json(content: bytes) -> int:
    return _text(content.decode("utf-8", "replace"))


def _file(source: Source, bytes_per_token: int) -> int:
    """Three bytes of a file are four characters of base64."""
    return _BY_URL if source.data is None else -(-len(source.data) * 3 // 4 // bytes_per_token)
