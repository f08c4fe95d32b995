"""A request as the client sent it, read only as far as the hub must, and written again for a provider.

A JSON body is taken apart at its top level; the values stay the client's own bytes. What is checked is what is sent: of
a field that stands there twice the last one counts and only that goes on. A multipart body keeps its parts as they are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, MutableMapping
from typing import cast

import msgspec
from msgspec import Raw, Struct
from multipart import (  # pyright: ignore[reportMissingTypeStubs]
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,  # pyright: ignore[reportUnknownVariableType]
)

from app.base.errors import BadRequest, MediaTypeRefused
from app.base.json_guard import check_shape
from app.wire.openai.endpoints import Endpoint

MAX_MODEL_NAME = 200
_MAX_PARTS = 64
_MAX_BOUNDARY = 70

Document = MutableMapping[str, Raw]

_decode_document = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode

_EMBEDDED_FILE = re.compile(rb"[A-Za-z0-9+/=_-]{1024,}+")
"""Base64, as pictures and sound travel in JSON."""

_OTHER_FILE_NAME = re.compile(rb"(?im)^content-disposition:[^\r\n]*;\s*filename\*=")
"""A file's name in the spelling of RFC 5987: not meant for forms, but some libraries write names beyond ASCII so."""

_SHORT_ARRAY = 1000
"""Longer ones are not looked at for whether they hold nothing but white space."""

_FIRST_BYTES = {"array": b"[", "string": b'"', "string or array": b'"[', "object": b"{"}


class Part(Struct, frozen=True):
    """One part of a multipart form, its headers and bytes unchanged."""

    name: str
    head: bytes
    is_file: bool
    content: bytes


class Request(Struct, kw_only=True):
    """A model call as read. Either `document` or `parts` holds the body."""

    model: str
    is_streamed: bool
    wants_usage: bool
    """Whether the client itself asked for the usage chunk of a stream."""
    size: int
    """Of the body in bytes, decompressed."""
    document: Document | None = None
    parts: tuple[Part, ...] = ()
    characters: int = 0
    """Of the text to be spoken, where characters are metered."""


class Outgoing(Struct, frozen=True):
    """A body for a provider."""

    content_type: str
    content: bytes


def read(endpoint: Endpoint, content_type: str, body: bytes) -> Request:
    """The request in `body`.

    Raises:
        MediaTypeRefused: the content type is not the endpoint's.
        BadRequest: no body, not JSON, a field missing or of the wrong type; `param` names it.
    """
    kind, options = _media_type(content_type)
    wanted = "application/json" if endpoint.body == "json" else "multipart/form-data"
    if kind.lower() != wanted:
        raise MediaTypeRefused(f'Send this request as {wanted}, not as "{kind or "nothing"}" (header Content-Type).')
    if not body:
        raise BadRequest("The request has no body.")
    if endpoint.body == "json":
        return _read_json(endpoint, body)
    return _read_form(endpoint, options.get("boundary", ""), body)


def _media_type(content_type: str) -> tuple[str, dict[str, str]]:
    kind, options = parse_options_header(content_type) if content_type else ("", {})
    return str(kind), cast(dict[str, str], options)


def write(
    request: Request, endpoint: Endpoint, upstream_model: str, deviations: tuple[Callable[[Document], None], ...]
) -> Outgoing:
    """The same request for a provider: its own name of the model, usage asked for, its deviations applied."""
    if request.document is None:
        return _write_form(request, upstream_model)
    document = dict(request.document)
    document["model"] = Raw(_encode(upstream_model))
    if request.is_streamed and endpoint.has_usage_option and not request.wants_usage:
        document["stream_options"] = _with_usage(document.get("stream_options"))
    for deviate in deviations:
        deviate(document)
    return Outgoing("application/json", _encode(document))


def text_bytes(request: Request) -> int:
    """The size of what a model reads, for an estimate: without embedded files, whose size says little about tokens."""
    if request.document is None:
        return sum(len(part.content) for part in request.parts if not part.is_file)
    values = b"".join(bytes(raw) for raw in request.document.values())
    return len(values) - sum(len(run) for run in _EMBEDDED_FILE.findall(values))


def _read_json(endpoint: Endpoint, body: bytes) -> Request:
    check_shape(body)
    try:
        document = _decode_document(body)
        if not body.isascii():
            # The decoder looks into names, not into the values, which stay bytes.
            body.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise _not_json(body, failure) from None
    model = _model_name(document)
    for field, wanted in endpoint.required:
        _check_field(document, field, wanted)
    request = Request(
        model=model,
        is_streamed=_is_streamed(endpoint, document),
        wants_usage=endpoint.has_usage_option and _wants_usage(document),
        size=len(body),
        document=document,
    )
    if "characters" in endpoint.meters:
        request.characters = len(_decode_text(document["input"]))
    return request


def _not_json(body: bytes, failure: Exception) -> BadRequest:
    if isinstance(failure, UnicodeDecodeError):
        return BadRequest("The body is not valid UTF-8.")
    if body.lstrip()[:1] not in (b"{", b""):
        return BadRequest("The body must be a JSON object.")
    reason = re.sub(r"^JSON is malformed: ", "", str(failure))
    return BadRequest(f"The body is not valid JSON: {reason}.")


def _model_name(document: Document) -> str:
    raw = document.get("model")
    if raw is None:
        raise BadRequest("The field model is missing. GET /v1/models lists what you can call.", param="model")
    try:
        return _checked_name(_decode_text(raw))
    except msgspec.DecodeError:
        raise BadRequest("The field model must be a string.", param="model") from None


def _checked_name(name: str) -> str:
    if not name or len(name) > MAX_MODEL_NAME:
        raise BadRequest(f"The field model must have 1 to {MAX_MODEL_NAME} characters.", param="model")
    return name


def _check_field(document: Document, field: str, wanted: str) -> None:
    raw = document.get(field)
    if raw is None:
        raise BadRequest(f"The field {field} is missing.", param=field)
    # A view: the field may be most of a large body.
    value = memoryview(raw)
    if bytes(value[:1]) not in _FIRST_BYTES[wanted]:
        raise BadRequest(f"The field {field} must be of type {wanted}.", param=field)
    if wanted == "array" and len(value) <= _SHORT_ARRAY and not bytes(value[1:-1]).strip():
        raise BadRequest(f"The field {field} must not be empty.", param=field)


def _is_streamed(endpoint: Endpoint, document: Document) -> bool:
    if endpoint.is_binary:
        # https://platform.openai.com/docs/api-reference/audio/createSpeech: `sse` sends the sound as events.
        return bytes(document.get("stream_format", Raw())) == b'"sse"'
    return endpoint.can_stream and _flag(document, "stream")


def _flag(document: Document, field: str, inside: str = "") -> bool:
    raw = document.get(field)
    if raw is None:
        return False
    value = bytes(raw)
    if value not in (b"true", b"false", b"null"):
        raise BadRequest(f"The field {inside}{field} must be true or false.", param=f"{inside}{field}")
    return value == b"true"


def _wants_usage(document: Document) -> bool:
    options = _options(document.get("stream_options"))
    return options is not None and _flag(options, "include_usage", "stream_options.")


def _options(raw: Raw | None) -> Document | None:
    if raw is None or bytes(raw) == b"null":
        return None
    try:
        return _decode_document(raw)
    except msgspec.DecodeError:
        raise BadRequest("The field stream_options must be an object.", param="stream_options") from None


def _with_usage(raw: Raw | None) -> Raw:
    options = _options(raw) or {}
    options["include_usage"] = Raw(b"true")
    return Raw(_encode(options))


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
        model=_checked_name(_form_text(fields["model"])),
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
