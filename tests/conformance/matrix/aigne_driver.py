"""AIGNE's chat over bare HTTP, with the bodies that `@aigne/aigne-hub` was recorded to send."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx

from tests.conformance.matrix.asking import Ask, Broke, Called, Finish, Heard, Json, Refused, Turn

_FINISH: dict[str, Finish] = {"stop": "stop", "stop_sequence": "stop", "length": "length", "tool_calls": "tool_calls"}


class AigneDriver:
    title = "AIGNE"

    def __init__(self, root: str, key: str) -> None:
        headers = {"authorization": f"Bearer {key}", "x-aigne-hub-client-did": "@aigne/aigne-hub:matrix"}
        self._http = httpx.AsyncClient(base_url=root, headers=headers, trust_env=False, timeout=20)

    async def close(self) -> None:
        await self._http.aclose()

    async def ask(self, model: str, ask: Ask, *, is_streamed: bool) -> Heard:
        body = _body(model, ask, is_streamed=is_streamed)
        async with self._http.stream("POST", "/api/v2/chat", json=body) as answer:
            fidelity = answer.headers.get("x-hub-fidelity", "")
            if answer.status_code != 200:
                text = (await answer.aread()).decode()
                raise Refused(answer.status_code, json.loads(text)["error"]["message"])
            merged: Json = {}
            if not is_streamed:
                merged = json.loads(await answer.aread())
                return _heard(merged, fidelity)
            event = "message"
            async for line in answer.aiter_lines():
                if line.startswith("event:"):
                    event = line[6:].strip()
                elif line.startswith("data:"):
                    frame = json.loads(line[5:])
                    if event == "error":
                        raise Broke(merged.get("text", ""), frame["message"])
                    delta = frame.get("delta", {})
                    for name, piece in delta.get("text", {}).items():
                        merged[name] = merged.get(name, "") + piece
                    merged |= delta.get("json", {})
        return _heard(merged, fidelity)


def _heard(merged: Json, fidelity: str) -> Heard:
    usage: Json = merged.get("usage") or {}
    value: Any = merged.get("json")
    return Heard(
        text=merged.get("text") or ("" if value is None else json.dumps(value)),
        thoughts=merged.get("thoughts") or "",
        calls=tuple(
            Called(id=call["id"], name=call["function"]["name"], arguments=call["function"]["arguments"], kept=call)
            for call in merged.get("toolCalls") or ()
        ),
        finish=_FINISH.get(merged.get("finishReason", ""), "other"),
        input_tokens=usage.get("inputTokens", 0) + usage.get("cacheReadInputTokens", 0),
        output_tokens=usage.get("outputTokens", 0),
        fidelity=fidelity,
    )


def _body(model: str, ask: Ask, *, is_streamed: bool) -> Json:
    messages: list[Json] = [{"role": "system", "content": ask.system}] if ask.system else []
    for turn in ask.turns:
        messages += _messages(turn)
    options: Json = {"model": model, "maxTokens": ask.max_tokens}
    if ask.stop:
        options["stop"] = list(ask.stop)
    if ask.effort:
        options["reasoningEffort"] = ask.effort
    given: Json = {"messages": messages, "modelOptions": options, "outputFileType": "url"}
    if ask.tools:
        given["tools"] = [
            {"type": "function", "function": {"name": name, "parameters": schema}} for name, schema in ask.tools
        ]
    if ask.schema is not None:
        wanted = {"name": "answer", "schema": ask.schema, "strict": True}
        given["responseFormat"] = {"type": "json_schema", "jsonSchema": wanted}
    streaming: Json = {"streaming": True} if is_streamed else {}
    return {"input": given, "agent": "$CHAT_MODEL", "options": {**streaming, "userContext": {}, "memories": []}}


def _messages(turn: Turn) -> list[Json]:
    if turn.role == "results":
        return [{"role": "tool", "toolCallId": call.id, "content": text} for call, text in turn.results]
    if turn.role == "assistant":
        entry: Json = {"role": "agent", "content": turn.text}
        if turn.calls:
            entry["toolCalls"] = [
                call.kept
                or {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in turn.calls
            ]
        return [entry]
    if turn.picture is None:
        return [{"role": "user", "content": turn.text}]
    picture = {"type": "file", "data": base64.b64encode(turn.picture).decode(), "mimeType": "image/png"}
    return [{"role": "user", "content": [{"type": "text", "text": turn.text}, picture]}]
