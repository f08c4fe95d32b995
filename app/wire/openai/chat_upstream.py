"""Chat completions, upstream face: see `chat_upstream_request` and `chat_upstream_answer`."""

from __future__ import annotations

from app.wire.openai import chat_upstream_answer, chat_upstream_request

write_request = chat_upstream_request.write_request
read_answer = chat_upstream_answer.read_answer
stream_reader = chat_upstream_answer.stream_reader
