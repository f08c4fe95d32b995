"""Messages, upstream face: see `upstream_request` and `upstream_answer`."""

from __future__ import annotations

from app.wire.anthropic import upstream_answer, upstream_request

write_request = upstream_request.write_request
read_answer = upstream_answer.read_answer
stream_reader = upstream_answer.stream_reader
