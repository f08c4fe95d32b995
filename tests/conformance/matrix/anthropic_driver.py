"""The `anthropic` package: messages."""

from __future__ import annotations

import base64
from typing import Any

import anthropic

from tests.conformance.matrix.asking import Ask, Broke, Called, Finish, Heard, Json, Refused, Turn

_FINISH: dict[str, Finish] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
}


class MessagesDriver:
    title = "Messages"

    def __init__(self, root: str, key: str) -> None:
        web = anthropic.DefaultAsyncHttpxClient(trust_env=False)
        self._client = anthropic.AsyncAnthropic(base_url=root, api_key=key, max_retries=0, http_client=web)

    async def close(self) -> None:
        await self._client.close()

    async def ask(self, model: str, ask: Ask, *, is_streamed: bool) -> Heard:
        fields = self._fields(model, ask)
        try:
            if is_streamed:
                return await self._stream(fields)
            raw = await self._client.messages.with_raw_response.create(**fields)
        except anthropic.APIStatusError as error:
            raise Refused(error.status_code, str(error)) from None
        return _heard(await raw.parse(), raw.headers.get("x-hub-fidelity", ""))

    async def _stream(self, fields: Json) -> Heard:
        said = ""
        has_begun = False
        try:
            async with self._client.messages.stream(**fields) as stream:
                has_begun = True
                async for text in stream.text_stream:
                    said += text
                final = await stream.get_final_message()
                return _heard(final, stream.response.headers.get("x-hub-fidelity", ""))
        except anthropic.APIError as error:
            if isinstance(error, anthropic.APIStatusError) and not has_begun:
                raise
            raise Broke(said, str(error)) from None

    def _fields(self, model: str, ask: Ask) -> Json:
        fields: Json = {"model": model, "max_tokens": ask.max_tokens, "messages": [_message(one) for one in ask.turns]}
        if ask.system:
            fields["system"] = ask.system
        if ask.tools:
            fields["tools"] = [{"name": name, "input_schema": schema} for name, schema in ask.tools]
        if ask.schema is not None:
            fields["output_config"] = {"format": {"type": "json_schema", "schema": ask.schema}}
        if ask.stop:
            fields["stop_sequences"] = list(ask.stop)
        if ask.effort:
            fields["thinking"] = {"type": "enabled", "budget_tokens": 1024 if ask.effort == "low" else 1900}
        return fields


def _heard(answer: Any, fidelity: str) -> Heard:
    blocks = answer.content
    return Heard(
        text="".join(block.text for block in blocks if block.type == "text"),
        thoughts="".join(block.thinking for block in blocks if block.type == "thinking"),
        calls=tuple(
            Called(id=block.id, name=block.name, arguments=dict(block.input))
            for block in blocks
            if block.type == "tool_use"
        ),
        finish=_FINISH.get(answer.stop_reason or "", "other"),
        input_tokens=answer.usage.input_tokens + (answer.usage.cache_read_input_tokens or 0),
        output_tokens=answer.usage.output_tokens,
        kept=[block.model_dump(exclude_none=True) for block in blocks],
        fidelity=fidelity,
    )


def _message(turn: Turn) -> Json:
    if turn.role == "results":
        blocks: list[Json] = [
            {"type": "tool_result", "tool_use_id": call.id, "content": text} for call, text in turn.results
        ]
        return {"role": "user", "content": blocks}
    if turn.kept is not None:
        return {"role": "assistant", "content": turn.kept}
    blocks = [{"type": "text", "text": turn.text}] if turn.text else []
    if turn.picture is not None:
        source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(turn.picture).decode()}
        blocks.append({"type": "image", "source": source})
    blocks += [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments} for call in turn.calls]
    return {"role": turn.role, "content": blocks}
