"""Chat completions, client face: see `chat_client_request` and `chat_client_answer`."""

from __future__ import annotations

from app.wire.openai import bounds, chat_client_answer, chat_client_request

read_conversation = chat_client_request.read_conversation
write_answer = chat_client_answer.write_answer
stream_writer = chat_client_answer.stream_writer
most_output = bounds.most_output
