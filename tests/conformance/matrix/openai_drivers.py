"""The `openai` package: chat completions and responses."""

from __future__ import annotations

import base64
import json
from typing import Any

import openai

from tests.conformance.matrix.asking import Ask, Broke, Called, Finish, Heard, Json, Refused, Turn

_FINISH: dict[str, Finish] = {"stop": "stop", "length": "length", "tool_calls": "tool_calls"}


def _client(root: str, key: str) -> openai.AsyncOpenAI:
    web = openai.DefaultAsyncHttpxClient(trust_env=False)
    return openai.AsyncOpenAI(base_url=f"{root}/v1", api_key=key, max_retries=0, http_client=web)


def _data_url(picture: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"


def _refused(error: openai.APIStatusError) -> Refused:
    return Refused(error.status_code, str(error))


class ChatDriver:
    title = "Chat completions"

    def __init__(self, root: str, key: str) -> None:
        self._client = _client(root, key)

    async def close(self) -> None:
        await self._client.close()

    async def ask(self, model: str, ask: Ask, *, is_streamed: bool) -> Heard:
        fields = self._fields(model, ask)
        try:
            if is_streamed:
                return await self._stream(fields)
            raw = await self._client.chat.completions.with_raw_response.create(**fields)
        except openai.APIStatusError as error:
            raise _refused(error) from None
        answer = raw.parse()
        message, usage = answer.choices[0].message, answer.usage
        extra = message.model_extra or {}
        return Heard(
            text=message.content or "",
            thoughts=extra.get("reasoning_content") or extra.get("reasoning") or "",
            calls=tuple(_called(call) for call in message.tool_calls or ()),
            finish=_FINISH.get(answer.choices[0].finish_reason, "other"),
            input_tokens=usage.prompt_tokens if usage else 0,
            output_tokens=usage.completion_tokens if usage else 0,
            kept=message.model_dump(exclude_none=True),
            fidelity=raw.headers.get("x-hub-fidelity", ""),
        )

    async def _stream(self, fields: Json) -> Heard:
        opened = await self._client.chat.completions.with_raw_response.create(
            **fields, stream=True, stream_options={"include_usage": True}
        )
        heard = Heard(fidelity=opened.headers.get("x-hub-fidelity", ""))
        calls: dict[int, Json] = {}
        details: list[Any] = []
        try:
            async for chunk in opened.parse():
                if chunk.usage is not None:
                    heard.input_tokens, heard.output_tokens = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
                for choice in chunk.choices:
                    delta = choice.delta
                    extra = delta.model_extra or {}
                    heard.text += delta.content or ""
                    heard.thoughts += extra.get("reasoning_content") or extra.get("reasoning") or ""
                    details += extra.get("reasoning_details") or ()
                    for piece in delta.tool_calls or ():
                        call = calls.setdefault(piece.index, {"id": "", "name": "", "arguments": "", "kept": None})
                        call["id"] += piece.id or ""
                        if piece.function is not None:
                            call["name"] += piece.function.name or ""
                            call["arguments"] += piece.function.arguments or ""
                        call["kept"] = call["kept"] or (piece.model_extra or {}).get("extra_content")
                    if choice.finish_reason:
                        heard.finish = _FINISH.get(choice.finish_reason, "other")
        except openai.APIError as error:
            raise Broke(heard.text, str(error)) from None
        heard.calls = tuple(
            Called(id=one["id"], name=one["name"], arguments=json.loads(one["arguments"] or "{}"), kept=one["kept"])
            for one in calls.values()
        )
        [heard.kept] = _messages(Turn(role="assistant", text=heard.text, calls=heard.calls))
        if heard.thoughts:
            heard.kept["reasoning_content"] = heard.thoughts
        if details:
            heard.kept["reasoning_details"] = details
        return heard

    def _fields(self, model: str, ask: Ask) -> Json:
        messages: list[Json] = [{"role": "system", "content": ask.system}] if ask.system else []
        for turn in ask.turns:
            messages += _messages(turn)
        fields: Json = {"model": model, "messages": messages, "max_completion_tokens": ask.max_tokens}
        if ask.tools:
            fields["tools"] = [
                {"type": "function", "function": {"name": name, "parameters": schema}} for name, schema in ask.tools
            ]
        if ask.schema is not None:
            wanted = {"name": "answer", "schema": ask.schema, "strict": True}
            fields["response_format"] = {"type": "json_schema", "json_schema": wanted}
        if ask.stop:
            fields["stop"] = list(ask.stop)
        if ask.effort:
            fields["reasoning_effort"] = ask.effort
        return fields


def _called(call: Any) -> Called:
    return Called(
        id=call.id,
        name=call.function.name,
        arguments=json.loads(call.function.arguments),
        kept=(call.model_extra or {}).get("extra_content"),
    )


def _messages(turn: Turn) -> list[Json]:
    if turn.role == "results":
        return [{"role": "tool", "tool_call_id": call.id, "content": text} for call, text in turn.results]
    if turn.kept is not None:
        return [turn.kept]
    if turn.role == "assistant":
        entry: Json = {"role": "assistant", "content": turn.text or None}
        if turn.calls:
            entry["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
                    **({"extra_content": call.kept} if call.kept else {}),
                }
                for call in turn.calls
            ]
        return [entry]
    if turn.picture is None:
        return [{"role": "user", "content": turn.text}]
    picture = {"type": "image_url", "image_url": {"url": _data_url(turn.picture)}}
    return [{"role": "user", "content": [{"type": "text", "text": turn.text}, picture]}]


class ResponsesDriver:
    title = "Responses"

    def __init__(self, root: str, key: str) -> None:
        self._client = _client(root, key)

    async def close(self) -> None:
        await self._client.close()

    async def ask(self, model: str, ask: Ask, *, is_streamed: bool) -> Heard:
        fields = self._fields(model, ask)
        try:
            if is_streamed:
                return await self._stream(fields)
            raw = await self._client.responses.with_raw_response.create(**fields)
        except openai.APIStatusError as error:
            raise _refused(error) from None
        return _heard_response(raw.parse(), raw.headers.get("x-hub-fidelity", ""))

    async def _stream(self, fields: Json) -> Heard:
        opened = await self._client.responses.with_raw_response.create(**fields, stream=True)
        said = ""
        final: Any = None
        try:
            async for event in opened.parse():
                if event.type == "response.output_text.delta":
                    said += event.delta
                elif event.type in ("response.completed", "response.incomplete"):
                    final = event.response
                elif event.type in ("error", "response.failed"):
                    raise Broke(said, str(event))
        except openai.APIError as error:
            raise Broke(said, str(error)) from None
        if final is None:
            raise Broke(said, "no end")
        heard = _heard_response(final, opened.headers.get("x-hub-fidelity", ""))
        assert heard.text == said, "the pieces and the whole differ"
        return heard

    def _fields(self, model: str, ask: Ask) -> Json:
        items: list[Json] = [item for turn in ask.turns for item in _items(turn)]
        fields: Json = {"model": model, "input": items, "max_output_tokens": ask.max_tokens, "store": False}
        if ask.system:
            fields["instructions"] = ask.system
        if ask.tools:
            fields["tools"] = [
                {"type": "function", "name": name, "parameters": schema, "strict": False} for name, schema in ask.tools
            ]
        if ask.schema is not None:
            wanted = {"type": "json_schema", "name": "answer", "schema": ask.schema, "strict": True}
            fields["text"] = {"format": wanted}
        if ask.effort:
            fields["reasoning"] = {"effort": ask.effort, "summary": "auto"}
            fields["include"] = ["reasoning.encrypted_content"]
        return fields


def _heard_response(answer: Any, fidelity: str) -> Heard:
    calls = tuple(
        Called(id=item.call_id, name=item.name, arguments=json.loads(item.arguments))
        for item in answer.output
        if item.type == "function_call"
    )
    thoughts = [
        part.text
        for item in answer.output
        if item.type == "reasoning"
        for part in (*(item.summary or ()), *(item.content or ()))
    ]
    finish: Finish = "tool_calls" if calls else "stop"
    if answer.status == "incomplete":
        finish = "length" if answer.incomplete_details.reason == "max_output_tokens" else "other"
    return Heard(
        text=answer.output_text,
        thoughts="".join(thoughts),
        calls=calls,
        finish=finish,
        input_tokens=answer.usage.input_tokens if answer.usage else 0,
        output_tokens=answer.usage.output_tokens if answer.usage else 0,
        kept=[item.model_dump(exclude_none=True) for item in answer.output],
        fidelity=fidelity,
    )


def _items(turn: Turn) -> list[Json]:
    if turn.role == "results":
        return [{"type": "function_call_output", "call_id": call.id, "output": text} for call, text in turn.results]
    if turn.kept is not None:
        return turn.kept
    if turn.role == "assistant":
        said: list[Json] = [{"role": "assistant", "content": turn.text}] if turn.text else []
        return said + [
            {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": json.dumps(call.arguments)}
            for call in turn.calls
        ]
    content: list[Json] = [{"type": "input_text", "text": turn.text}]
    if turn.picture is not None:
        content.append({"type": "input_image", "image_url": _data_url(turn.picture), "detail": "auto"})
    return [{"role": "user", "content": content}]
