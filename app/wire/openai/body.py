"""OpenAI's requests, JSON and forms: read as far as the hub must, and written again for a provider of the same format.

The values of a JSON body stay the client's own bytes; a multipart body keeps its parts as they are.
"""

from __future__ import annotations

import os
import re
from typing import cast

import msgspec
from msgspec import Raw
from multipart import (  # pyright: ignore[reportMissingTypeStubs]
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,  # pyright: ignore[reportUnknownVariableType]
)

from app.base.errors import BadRequest, MediaTypeRefused
from app.wire.endpoint import Endpoint
from app.wire.openai import bounds
from app.wire.request import (
    Deviation,
    Document,
    Incoming,
    Outgoing,
    Part,
    Request,
    check_required,
    checked_name,
    flag,
    model_name,
    options,
    read_document,
    write_document,
)

_MAX_PARTS = 64
_MAX_BOUNDARY = 70

_KEPT_HEADERS = (
    (b"http-referer", "HTTP-Referer"),
    (b"x-title", "X-Title"),
    (b"x-openrouter-title", "X-OpenRouter-Title"),
)

_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode

_OTHER_FILE_NAME = re.compile(rb"(?im)^content-disposition:[^\r\n]*;\s*filename\*=")
"""A file's name in the spelling of RFC 5987: not meant for forms, but some libraries write names beyond ASCII so."""


def read(endpoint: Endpoint, incoming: Incoming) -> Request:
    """The request of `incoming`.

    Raises:
        MediaTypeRefused: the content type is not the endpoint's.
        BadRequest: no body, not JSON, a field missing or of the wrong type; `param` names it.
    """
    if endpoint.body == "json":
        return _read_json(endpoint, incoming)
    kind, options_ = _media_type(incoming.content_type)
    if endpoint.body == "either" and not kind.lower().startswith("multipart/"):
        return _read_json(endpoint, incoming)
    if kind.lower() != "multipart/form-data":
        raise MediaTypeRefused(
            f'Send this request as multipart/form-data, not as "{kind or "nothing"}" (header Content-Type).'
        )
    if not incoming.body:
        raise BadRequest("The request has no body.")
    return _read_form(endpoint, options_.get("boundary", ""), incoming.body)


def _media_type(content_type: str) -> tuple[str, dict[str, str]]:
    kind, options = parse_options_header(content_type) if content_type else ("", {})
    return str(kind), cast(dict[str, str], options)


def write(
    request: Request,
    endpoint: Endpoint,
    upstream_model: str,
    deviations: tuple[Deviation, ...],
    most_output: int | None = None,
) -> Outgoing:
    """The same request for a provider: its own name of the model, usage asked for, its deviations applied."""
    if request.document is None:
        return _write_form(request, upstream_model)
    document = dict(request.document)
    document["model"] = Raw(_encode(upstream_model))
    if request.is_streamed and endpoint.has_usage_option and not request.wants_usage:
        asked = options(document, "stream_options") or {}
        asked["include_usage"] = Raw(b"true")
        document["stream_options"] = Raw(_encode(asked))
    if most_output is not None:
        bounds.lower(document, endpoint, most_output)
    return Outgoing("application/json", write_document(document, deviations), headers=request.headers)


def _read_json(endpoint: Endpoint, incoming: Incoming) -> Request:
    document = read_document(incoming)
    model = model_name(document)
    check_required(endpoint, document)
    request = Request(
        model=model,
        is_streamed=_is_streamed(endpoint, document),
        wants_usage=endpoint.has_usage_option and _wants_usage(document),
        size=len(incoming.body),
        document=document,
        headers=_kept_headers(incoming),
    )
    if "characters" in endpoint.meters:
        request.characters = len(_decode_text(document["input"]))
    return request


def _kept_headers(incoming: Incoming) -> dict[str, str]:
    """By which an app names itself to OpenRouter: https://openrouter.ai/docs/app-attribution"""
    given = incoming.headers
    return {shown: given[name].decode("latin-1") for name, shown in _KEPT_HEADERS if name in given}


def _is_streamed(endpoint: Endpoint, document: Document) -> bool:
    if endpoint.is_binary:
        # https://platform.openai.com/docs/api-reference/audio/createSpeech: `sse` sends the sound as events.
        return bytes(document.get("stream_format", Raw())) == b'"sse"'
    return endpoint.can_stream and flag(document, "stream")


def _wants_usage(document: Document) -> bool:
    asked = options(document, "stream_options")
    return asked is not None and flag(asked, "include_usage", "stream_options.")


def _read_form(endpoint: Endpoint, boundary: str, body: bytes) -> Request:
    if not 1 <= len(boundary) <= _MAX_BOUNDARY:
        raise BadRequest(f"The Content-Type header must name a boundary of 1 to {_MAX_BOUNDARY} characters.")
    parts = _parts(boundary, body)
    fields = {part.name: part for part in parts}
    if "model" not in fields or fields["model"].is_file:
        raise BadRequest("The form field model is missing. GET /v1/models lists what you can call.", param="model")
    for field, wanted in endpoint.required:
        # Several images come as image[].
        part = fields.get(field) or fields.get(f"{field}[]")
        if part is None:
            raise BadRequest(f"The form field {field} is missing.", param=field)
        if part.is_file != (wanted == "file"):
            raise BadRequest(f"The form field {field} must be a {wanted}.", param=field)
    stream = fields.get("stream")
    return Request(
        model=checked_name(_form_text(fields["model"])),
        is_streamed=endpoint.can_stream and stream is not None and _form_text(stream).lower() == "true",
        wants_usage=False,
        size=len(body),
        parts=parts,
    )


def _parts(boundary: str, body: bytes) -> tuple[Part, ...]:
    parts: list[Part] = []
    segment: MultipartSegment | None = None
    content = bytearray()
    try:
        with PushMultipartParser(boundary, max_segment_count=_MAX_PARTS, max_header_size=4096) as parser:
            for event in parser.parse(body):
                if isinstance(event, MultipartSegment):
                    segment, content = event, bytearray()
                elif event:
                    content += event
                elif segment is not None:
                    head = b"".join(f"{name}: {value}\r\n".encode() for name, value in segment.headerlist)
                    is_file = segment.filename is not None or _OTHER_FILE_NAME.search(head) is not None
                    parts.append(Part(segment.name or "", head, is_file, bytes(content)))
    except MultipartError as failure:
        raise BadRequest(f"The multipart body cannot be read: {failure}.") from None
    return tuple(parts)


def _form_text(part: Part) -> str:
    try:
        return part.content.decode()
    except UnicodeDecodeError:
        raise BadRequest(f"The form field {part.name} must be UTF-8 text.", param=part.name) from None


def _write_form(request: Request, upstream_model: str) -> Outgoing:
    boundary = f"hub-{os.urandom(16).hex()}"
    pieces: list[bytes] = []
    for part in request.parts:
        content = upstream_model.encode() if part.name == "model" else part.content
        pieces += [b"--", boundary.encode(), b"\r\n", part.head, b"\r\n", content, b"\r\n"]
    pieces += [b"--", boundary.encode(), b"--\r\n"]
    return Outgoing(f"multipart/form-data; boundary={boundary}", b"".join(pieces))
