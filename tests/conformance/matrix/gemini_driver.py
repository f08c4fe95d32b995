"""The `google-genai` package: generateContent."""

from __future__ import annotations

from typing import Any

from google import genai
from google.genai import errors, types

from tests.conformance.matrix.asking import Ask, Broke, Called, Finish, Heard, Json, Refused, Turn

_FINISH: dict[str, Finish] = {"STOP": "stop", "MAX_TOKENS": "length"}


class GeminiDriver:
    title = "generateContent"

    def __init__(self, root: str, key: str) -> None:
        options = types.HttpOptions(base_url=root, async_client_args={"trust_env": False})
        self._client = genai.Client(api_key=key, http_options=options)

    async def close(self) -> None:
        await self._client.aio.aclose()

    async def ask(self, model: str, ask: Ask, *, is_streamed: bool) -> Heard:
        given: Any = {"model": model, "contents": [_content(turn) for turn in ask.turns], "config": _config(ask)}
        heard = Heard()
        has_begun = False
        try:
            if not is_streamed:
                _add(heard, await self._client.aio.models.generate_content(**given))
                return heard
            async for chunk in await self._client.aio.models.generate_content_stream(**given):
                has_begun = True
                _add(heard, chunk)
        except errors.APIError as error:
            if has_begun:
                raise Broke(heard.text, str(error)) from None
            raise Refused(error.code, str(error)) from None
        return heard


def _add(heard: Heard, answer: Any) -> None:
    if answer.sdk_http_response is not None and answer.sdk_http_response.headers:
        headers = {name.lower(): value for name, value in answer.sdk_http_response.headers.items()}
        heard.fidelity = headers.get("x-hub-fidelity", heard.fidelity)
    for candidate in answer.candidates or ():
        for part in (candidate.content.parts if candidate.content else None) or ():
            heard.kept = [*(heard.kept or ()), part]
            if part.function_call is not None:
                call = part.function_call
                called = Called(id=call.id or call.name, name=call.name, arguments=dict(call.args or {}), kept=part)
                heard.calls = (*heard.calls, called)
            elif part.text and part.thought:
                heard.thoughts += part.text
            elif part.text:
                heard.text += part.text
        if candidate.finish_reason is not None:
            finish = _FINISH.get(candidate.finish_reason.value, "other")
            heard.finish = "tool_calls" if finish == "stop" and heard.calls else finish
    usage = answer.usage_metadata
    if usage is not None:
        heard.input_tokens = usage.prompt_token_count or heard.input_tokens
        heard.output_tokens = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)


def _config(ask: Ask) -> Json:
    config: Json = {"max_output_tokens": ask.max_tokens, "automatic_function_calling": {"disable": True}}
    if ask.system:
        config["system_instruction"] = ask.system
    if ask.tools:
        declared = [{"name": name, "parameters_json_schema": schema} for name, schema in ask.tools]
        config["tools"] = [{"function_declarations": declared}]
    if ask.schema is not None:
        config |= {"response_mime_type": "application/json", "response_json_schema": ask.schema}
    if ask.stop:
        config["stop_sequences"] = list(ask.stop)
    if ask.effort:
        config["thinking_config"] = {"thinking_level": ask.effort.upper(), "include_thoughts": True}
    return config


def _content(turn: Turn) -> types.Content:
    if turn.kept is not None:
        return types.Content(role="model", parts=turn.kept)
    parts: list[types.Part] = []
    if turn.text:
        parts.append(types.Part(text=turn.text))
    if turn.picture is not None:
        parts.append(types.Part.from_bytes(data=turn.picture, mime_type="image/png"))
    for call in turn.calls:
        called = types.FunctionCall(id=call.id, name=call.name, args=call.arguments)
        parts.append(call.kept if isinstance(call.kept, types.Part) else types.Part(function_call=called))
    for call, text in turn.results:
        result = types.FunctionResponse(id=call.id, name=call.name, response={"result": text})
        parts.append(types.Part(function_response=result))
    return types.Content(role="model" if turn.role == "assistant" else "user", parts=parts)
