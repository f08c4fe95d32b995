"""generateContent, client face: see `conversation_reader` and `conversation_writer`."""

from __future__ import annotations

from app.wire.gemini import bounds, conversation_reader, conversation_writer

read_conversation = conversation_reader.read_conversation
write_answer = conversation_writer.write_answer
stream_writer = conversation_writer.stream_writer
most_output = bounds.most_output
