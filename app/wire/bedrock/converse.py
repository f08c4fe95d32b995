"""Converse, upstream face: `write_request`, `read_answer` and `stream_reader` of a conversation with Bedrock."""

from __future__ import annotations

from app.wire.bedrock.converse_answer import StreamReader, read_answer, stream_reader
from app.wire.bedrock.converse_request import write_request

__all__ = ["StreamReader", "read_answer", "stream_reader", "write_request"]
