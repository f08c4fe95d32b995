"""The Responses API, client face: how its callers are read and answered.

https://developers.openai.com/api/reference/resources/responses/methods/create
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from app.base.errors import AppError, BadRequest
from app.wire import openai_errors
from app.wire.endpoint import Endpoint
from app.wire.request import Incoming, Request, check_required, flag, model_name, read_document
from app.wire.responses import bounds, reading, writing

_encode = msgspec.json.Encoder().encode

error_body = openai_errors.error_body
read_conversation = reading.read_conversation
write_answer = writing.write_answer
stream_writer = writing.stream_writer
most_output = bounds.most_output

_NOT_SUPPORTED: Mapping[str, str] = {
    "background": "Responses in the background are not supported; send it without, and stream the answer.",
    "conversation": "Conversation objects are not supported; use previous_response_id, or send the history.",
    "prompt": "Prompt templates are kept at OpenAI, which this hub does not ask for them; send the text.",
}


def read(endpoint: Endpoint, incoming: Incoming) -> Request:
    """
    Raises:
        MediaTypeRefused: the content type is not JSON.
        BadRequest: no body, not JSON, a field missing or of the wrong type, or one that the hub cannot honour.
    """
    document = read_document(incoming)
    model = model_name(document)
    for name, sentence in _NOT_SUPPORTED.items():
        if bytes(document.get(name, b"null")) not in (b"null", b"false"):
            raise BadRequest(sentence, param=name, code="not_supported")
    check_required(endpoint, document)
    return Request(
        model=model,
        is_streamed=flag(document, "stream"),
        wants_usage=True,
        size=len(incoming.body),
        document=document,
    )


def error_event(error: AppError, call_id: str | None) -> bytes:
    """An error as the end of a stream that broke: `error`, on which OpenAI's own clients raise, and then
    `response.failed`, without which Codex believes that the connection was lost and asks again.

    OpenAI documents the fields of `error` at the top and sends them inside `error` as well; clients read either.
    """
    fields = openai_errors.error_fields(error, call_id)
    told = {name: fields[name] for name in ("code", "message", "param")}
    failed: dict[str, Any] = {
        "id": f"resp_{call_id}",
        "object": "response",
        "status": "failed",
        "error": {"code": error.code, "message": fields["message"]},
        "output": [],
        "usage": None,
    }
    return _event({"type": "error", "sequence_number": 0, **told, "error": fields}) + _event(
        {"type": "response.failed", "sequence_number": 0, "response": failed}
    )


def _event(payload: dict[str, Any]) -> bytes:
    return b"event: " + str(payload["type"]).encode() + b"\ndata: " + _encode(payload) + b"\n\n"
