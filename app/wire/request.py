"""A request as the client sent it, read only as far as the hub must.

A JSON body is taken apart at its top level; the values stay the client's own bytes. What is checked is what is sent: of
a field that stands there twice the last one counts and only that goes on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from app.base.errors import BadRequest, MediaTypeRefused
from app.base.json_guard import check_shape
from app.wire.endpoint import Endpoint
from app.wire.fields import Fields

MAX_MODEL_NAME = 200

Document = MutableMapping[str, Raw]
"""A request's JSON object, its values still as the bytes that the client sent."""

Deviation = Callable[[Document], None]
"""Changes a request for one provider, in place. Raises `BadRequest` for what cannot be expressed there."""

_decode_document = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode

_LEAST_FILE = 1024
"""Bytes of base64; less is not taken for a file."""
_BASE64 = rb"(?:[A-Za-z0-9+/=_-]++|\\(?:[/nr]|u00(?:2[BbFf]|3[Dd])))+"
"""As it stands in JSON: some encoders escape a slash, a plus or an equals sign, or break it into lines."""
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-"
_WHOLE_FILE = re.compile(rb"(?:data:[^,]{0,200},)?" + _BASE64)
_INNER_FILE = re.compile(rb";base64," + _BASE64)
"""In the middle of a text."""
_ADDRESS = re.compile(rb'"(?:url|image_url|file_url|uri|fileUri|file_uri)"\s*:\s*"(?:https?|gs)://')

_SHORT_ARRAY = 1000
"""Longer ones are not looked at for whether they hold nothing but white space."""

_FIRST_BYTES = {"array": b"[", "string": b'"', "string or array": b'"[', "object": b"{"}


class Part(Struct, frozen=True):
    """One part of a multipart form, its headers and bytes unchanged."""

    name: str
    head: bytes
    is_file: bool
    content: bytes


class Incoming(Struct, frozen=True, kw_only=True):
    """What a door knows of a request before its format has read it."""

    path: str
    """Below the door's root."""
    query: str = ""
    headers: Mapping[bytes, bytes]
    """Names in lower case."""
    variables: Mapping[str, str] = {}
    """What stood in the path: `model`, `action`."""
    body: bytes
    """Decompressed."""

    @property
    def content_type(self) -> str:
        return self.headers.get(b"content-type", b"").decode("latin-1")


class Request(Struct, kw_only=True):
    """A model call as read. Either `document` or `parts` holds the body."""

    model: str
    is_streamed: bool
    wants_usage: bool
    """Whether the client itself asked for the usage of a stream."""
    size: int
    """Of the body in bytes, decompressed."""
    document: Document | None = None
    parts: tuple[Part, ...] = ()
    characters: int = 0
    """Of the text to be spoken, where characters are metered."""
    headers: Mapping[str, str] = {}
    """Of the client's own, those that go on to a provider of the same format (`anthropic-beta`)."""
    form: str = ""
    """Which form of answer the client understands, where its format has several: the format's own word."""
    recalled: int = 0
    """How many items of earlier turns the hub has put before the client's own."""


class Outgoing(Struct, frozen=True):
    """A body for a provider."""

    content_type: str
    content: bytes
    path: str | None = None
    """Below the base URL, where the row's path for the endpoint does not say it."""
    headers: Mapping[str, str] = {}
    """Beside those of the row and the credential."""


def read_document(incoming: Incoming) -> Document:
    """The JSON object of a request.

    Raises:
        MediaTypeRefused: the content type is not JSON.
        BadRequest: no body, or not a JSON object.
    """
    media = incoming.content_type.partition(";")[0].strip().lower()
    if media != "application/json":
        raise MediaTypeRefused(
            f'Send this request as application/json, not as "{media or "nothing"}" (header Content-Type).'
        )
    body = incoming.body
    if not body:
        raise BadRequest("The request has no body.")
    check_shape(body)
    try:
        document = _decode_document(body)
        if not body.isascii():
            # The decoder looks into names, not into the values, which stay bytes.
            body.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise _not_json(body, failure) from None
    return document


def check_required(endpoint: Endpoint, document: Document) -> None:
    """
    Raises:
        BadRequest: a field that the endpoint requires is missing, empty or of the wrong type; `param` names it.
    """
    for field, wanted in endpoint.required:
        _check_field(document, field, wanted)


def model_name(document: Document) -> str:
    """The field `model`.

    Raises:
        BadRequest
    """
    raw = document.get("model")
    if raw is None:
        raise BadRequest("The field model is missing. GET /v1/models lists what you can call.", param="model")
    try:
        return checked_name(_decode_text(raw))
    except msgspec.DecodeError:
        raise BadRequest("The field model must be a string.", param="model") from None


def checked_name(name: str) -> str:
    if not name or len(name) > MAX_MODEL_NAME:
        raise BadRequest(f"The field model must have 1 to {MAX_MODEL_NAME} characters.", param="model")
    return name


def flag(document: Document, field: str, inside: str = "") -> bool:
    """A boolean at the top level; absent and null are False."""
    raw = document.get(field)
    if raw is None:
        return False
    value = bytes(raw)
    if value not in (b"true", b"false", b"null"):
        raise BadRequest(f"The field {inside}{field} must be true or false.", param=f"{inside}{field}")
    return value == b"true"


def options(document: Document, field: str) -> Document | None:
    """An object at the top level, taken apart; None where it is absent or null."""
    raw = document.get(field)
    if raw is None or bytes(raw) == b"null":
        return None
    try:
        return _decode_document(raw)
    except msgspec.DecodeError:
        raise BadRequest(f"The field {field} must be an object.", param=field) from None


def fields_of(request: Request) -> Fields:
    """The whole document decoded, to be read into a neutral form."""
    values: dict[str, Any] = {name: msgspec.json.decode(raw) for name, raw in (request.document or {}).items()}
    return Fields(values)


def write_document(document: Document, deviations: tuple[Deviation, ...] = ()) -> bytes:
    """`document` as JSON, changed by its provider's deviations."""
    for deviate in deviations:
        deviate(document)
    return _encode(document)


def raw_of(value: Any) -> Raw:
    """A value as the bytes that stand in a document."""
    return Raw(_encode(value))


def text_bytes(request: Request, embedded: list[int] | None = None) -> int:
    """The size of what a model reads, for an estimate: without embedded files, whose size says little about tokens.

    `embedded`: what `files` gives, where it is known already.
    """
    if request.document is None:
        return sum(len(part.content) for part in request.parts if not part.is_file)
    return sum(map(len, request.document.values())) - sum(files(request) if embedded is None else embedded)


def files(request: Request) -> list[int]:
    """The sizes, as they travel, of the files that came along: parts of a form, or base64 inside of JSON."""
    if request.document is None:
        return [len(part.content) for part in request.parts if part.is_file]
    sizes: list[int] = []
    for raw in request.document.values():
        if len(raw) > _LEAST_FILE:
            # Cutting at the quotation marks is many times faster than searching byte by byte.
            for text in bytes(raw).split(b'"'):
                if len(text) > _LEAST_FILE:
                    sizes += _files_in(text)
    return sizes


def addresses(request: Request) -> int:
    """How many files a JSON request names by where they are."""
    values = (request.document or {}).values()
    return sum(len(_ADDRESS.findall(raw)) for raw in map(bytes, values) if b"://" in raw)


def _files_in(text: bytes) -> list[int]:
    if text.translate(None, _ALPHABET) in (b"", b":;,"):
        # A data URL, or base64 alone: nearly every file. Several times faster than the search.
        return [len(text)]
    found = _WHOLE_FILE.match(text)
    runs = [found] if found is not None else []
    if b";base64," in text[1:] and (found is None or found.end() < len(text)):
        runs = list(_INNER_FILE.finditer(text))
    return [size for run in runs if (size := run.end() - run.start()) > _LEAST_FILE]


def _not_json(body: bytes, failure: Exception) -> BadRequest:
    if isinstance(failure, UnicodeDecodeError):
        return BadRequest("The body is not valid UTF-8.")
    if body.lstrip()[:1] not in (b"{", b""):
        return BadRequest("The body must be a JSON object.")
    reason = re.sub(r"^JSON is malformed: ", "", str(failure))
    return BadRequest(f"The body is not valid JSON: {reason}.")


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
