"""Chat completions, client face: what callers of `/v1/chat/completions` say, and the answers that they expect.

https://developers.openai.com/api/reference/resources/chat/subresources/completions/methods/create
"""

from __future__ import annotations

from typing import Any, cast

import msgspec
from msgspec.structs import replace

from app.base.errors import BadRequest
from app.base.usage import Usage
from app.wire import neutral
from app.wire.fields import Fields, missing, unknown_type, wrong_type
from app.wire.neutral import (
    Answer,
    Audio,
    CacheMark,
    Conversation,
    Event,
    File,
    Finished,
    Image,
    Message,
    Opaque,
    OutputFormat,
    Part,
    Produced,
    Reasoning,
    ReasoningDelta,
    ReasoningEnd,
    ReasoningWish,
    Refusal,
    RefusalDelta,
    Reply,
    Sampling,
    Source,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallStart,
    ToolChoice,
    ToolResult,
    ToolSpec,
)
from app.wire.request import Request, fields_of

_encode = msgspec.json.Encoder().encode

HOME = "openai"
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_FINISH = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "pause": "stop",
    "error": "stop",
}
_AUDIO_TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav"}


# --- what they say


def read_conversation(request: Request) -> Conversation:
    """
    Raises:
        BadRequest: a field is missing or of the wrong type; `param` is its path.
    """
    fields = fields_of(request)
    places = {ours: theirs for ours, theirs in _PLACES if fields.has(theirs)}
    system, messages = _messages(fields)
    choice = fields.any("tool_choice")
    conversation = Conversation(
        system=system,
        messages=messages,
        tools=_tools(fields),
        tool_choice=_tool_choice(choice, "tool_choice") if choice is not None else None,
        has_parallel_tools=fields.flag("parallel_tool_calls"),
        sampling=_sampling(fields),
        output=_output(fields),
        reasoning=_reasoning(fields),
        user=fields.text("safety_identifier") or fields.text("user"),
        service_tier=fields.text("service_tier"),
        verbosity=fields.text("verbosity"),
        modalities=fields.texts("modalities"),
        places=places,
    )
    # What it does is known elsewhere: the model and the stream are the call's own, the rest is for OpenAI's storage.
    fields.drop("model", "stream", "stream_options", "store", "metadata", "user", "prompt_cache_key")
    fields.drop("prompt_cache_retention")
    fields.done()
    conversation.unread = tuple(fields.unread)
    return conversation


_PLACES = (
    ("max_tokens", "max_tokens"),
    ("max_tokens", "max_completion_tokens"),
    *((name, name) for name in ("temperature", "top_p", "top_k", "stop", "seed", "presence_penalty")),
    *((name, name) for name in ("frequency_penalty", "n", "logprobs", "logit_bias", "tool_choice", "service_tier")),
    *((name, name) for name in ("verbosity", "modalities", "user")),
    ("has_parallel_tools", "parallel_tool_calls"),
    ("output", "response_format"),
    ("reasoning", "reasoning"),
    ("reasoning", "reasoning_effort"),
    ("user", "safety_identifier"),
)


def _messages(fields: Fields) -> tuple[tuple[Text, ...], tuple[Message, ...]]:
    system: list[Text] = []
    messages: list[Message] = []
    if not fields.has("messages"):
        raise missing("messages")
    for message in fields.objects("messages"):
        role = message.word("role", _ROLES)
        name = message.text("name")
        if role is None:
            raise missing(message.path("role"))
        if role in ("system", "developer"):
            texts = tuple(part for part in _content(message) if isinstance(part, Text))
            if messages:
                messages.append(Message(role="system", parts=texts, name=name, at=message.at))
            else:
                system += texts
        elif role in ("tool", "function"):
            _add_result(messages, message, name)
        elif role == "user":
            messages.append(Message(role="user", parts=_content(message), name=name, at=message.at))
        else:
            messages.append(Message(role="assistant", parts=_said(message), name=name, at=message.at))
        message.done()
    return tuple(system), tuple(messages)


def _add_result(messages: list[Message], message: Fields, name: str | None) -> None:
    """Results of one turn stand in messages of their own here; in the neutral form they are one user message."""
    call_id = message.text("tool_call_id")
    if call_id is None:
        call_id = name if name is not None else message.needed_text("tool_call_id")
    cache = _cache(message)
    parts = cast(tuple[Text | Image | Audio | File, ...], _content(message))
    result = ToolResult(call_id=call_id, parts=parts, name=name, cache=cache, at=message.at)
    last = messages[-1] if messages else None
    if last is not None and last.role == "user" and all(isinstance(part, ToolResult) for part in last.parts):
        messages[-1] = replace(last, parts=(*last.parts, result))
    else:
        messages.append(Message(role="user", parts=(result,), at=message.at))


def _said(message: Fields) -> tuple[Part, ...]:
    """An assistant's turn: thoughts, then text, then tool calls."""
    parts: list[Part] = []
    thought = message.text("reasoning_content") or message.text("reasoning")
    details = message.list("reasoning_details")
    if details:
        opaque = Opaque("openrouter", msgspec.json.encode(details).decode())
        own = _own_details(details)
        parts += own if own else [Reasoning(text=thought or "", opaque=opaque, at=message.path("reasoning_details"))]
    elif thought:
        parts.append(Reasoning(text=thought, at=message.path("reasoning_content")))
    parts += _content(message)
    refusal = message.text("refusal")
    if refusal:
        parts.append(Refusal(text=refusal, at=message.path("refusal")))
    for call in message.objects("tool_calls"):
        parts.append(_call(call))
    old = message.object("function_call")
    if old is not None:
        name = old.needed_text("name")
        arguments = neutral.arguments_of(old.text("arguments") or "")
        parts.append(ToolCall(id=name, name=name, arguments=arguments, at=old.at))
    message.drop("audio", "annotations")
    return tuple(parts)


def _own_details(details: list[Any]) -> list[Reasoning]:
    """The thoughts that this hub itself has given out in `reasoning_details` (see `_details`)."""
    found: list[Reasoning] = []
    for detail in details:
        entry = cast(dict[str, Any], detail) if isinstance(detail, dict) else {}
        mark = entry.get("signature") or entry.get("data")
        if isinstance(mark, str) and mark.startswith("hub1."):
            text = entry.get("text")
            found.append(
                Reasoning(
                    text=text if isinstance(text, str) else "",
                    opaque=neutral.opaque_from(mark, HOME),
                    is_redacted=entry.get("type") == "reasoning.encrypted",
                )
            )
    return found


def _call(call: Fields) -> ToolCall:
    type_ = call.text("type") or "function"
    if type_ != "function":
        raise unknown_type(call.path("type"), type_, ("function",))
    function = call.object("function")
    if function is None:
        raise missing(call.path("function"))
    call.drop("index")
    id_ = call.needed_text("id")
    extra = call.object("extra_content")
    google = extra.object("google") if extra is not None else None
    signature = google.text("thought_signature") if google is not None else None
    made = ToolCall(
        id=id_,
        name=function.needed_text("name"),
        arguments=neutral.arguments_of(function.text("arguments") or ""),
        # https://ai.google.dev/gemini-api/docs/thought-signatures: where OpenAI's format carries them.
        opaque=neutral.opaque_from(signature, "google") if signature else None,
        cache=_cache(call),
        at=call.at,
    )
    function.done()
    call.done()
    return made


def _content(message: Fields) -> tuple[Part, ...]:
    content = message.any("content")
    at = message.path("content")
    if content is None:
        return ()
    if isinstance(content, str):
        return (Text(text=content, cache=_cache(message), at=at),) if content else ()
    if not isinstance(content, list):
        raise BadRequest(f"The field {at} must be a string or an array.", param=at)
    parts: list[Part] = []
    for n, entry in enumerate(cast(list[Any], content)):
        if isinstance(entry, str):
            parts.append(Text(text=entry, at=f"{at}[{n}]"))
        else:
            part = Fields.of(entry, f"{at}[{n}]", message.unread)
            parts.append(_part(part))
            part.done()
    return tuple(parts)


_PART_TYPES = ("text", "image_url", "input_audio", "file", "video_url", "refusal")


def _part(part: Fields) -> Part:
    type_ = part.text("type")
    cache = _cache(part)
    match type_:
        case "text" | "input_text" | "output_text":
            part.drop("annotations")
            return Text(text=part.needed_text("text"), cache=cache, at=part.at)
        case "image_url":
            url, detail = _url(part, "image_url")
            detail = detail or part.text("detail")
            return Image(source=source_of(url, part.at), detail=detail, cache=cache, at=part.at)
        case "video_url":
            url, _ = _url(part, "video_url")
            return File(source=source_of(url, part.at, "video/mp4"), cache=cache, at=part.at)
        case "input_audio":
            sound = part.object("input_audio")
            if sound is None:
                raise missing(part.path("input_audio"))
            format_ = sound.text("format") or "wav"
            source = Source(data=sound.needed_text("data"), media_type=_AUDIO_TYPES.get(format_, f"audio/{format_}"))
            sound.done()
            return Audio(source=source, cache=cache, at=part.at)
        case "file":
            return _file(part, cache)
        case "refusal":
            return Refusal(text=part.needed_text("refusal"), at=part.at)
        case _:
            raise unknown_type(part.path("type"), type_, _PART_TYPES)


def _file(part: Fields, cache: CacheMark | None) -> File:
    file = part.object("file")
    if file is None:
        raise missing(part.path("file"))
    data, file_id, name = file.text("file_data"), file.text("file_id"), file.text("filename")
    file.done()
    if data is not None:
        return File(source=source_of(data, part.at, "application/pdf"), name=name, cache=cache, at=part.at)
    if file_id is None:
        raise missing(part.path("file.file_data"))
    return File(source=Source(file_id=file_id), name=name, cache=cache, at=part.at)


def _url(part: Fields, name: str) -> tuple[str, str | None]:
    value = part.any(name)
    if isinstance(value, str):
        return value, None
    if value is None:
        raise missing(part.path(name))
    inner = Fields.of(value, part.path(name), part.unread)
    url, detail = inner.needed_text("url"), inner.text("detail")
    inner.done()
    return url, detail


def source_of(url: str, at: str, media_type: str | None = None) -> Source:
    """A `data:` URL, an address, or bare base64 where `media_type` says what it would be.

    Raises:
        BadRequest: neither.
    """
    if url.startswith("data:"):
        head, comma, data = url[5:].partition(",")
        if not comma or not head.endswith(";base64"):
            raise BadRequest(f"The data: URL at {at} must be base64.", param=at)
        return Source(data=data, media_type=head.removesuffix(";base64").partition(";")[0] or media_type or "image/png")
    if url.startswith(("https://", "http://")):
        return Source(url=url, media_type=media_type)
    if media_type is not None:
        return Source(data=url, media_type=media_type)
    raise BadRequest(f"The URL at {at} must begin with https://, http:// or data:.", param=at)


def _cache(fields: Fields) -> CacheMark | None:
    """Anthropic's mark, which gateways take inside OpenAI's format too."""
    mark = fields.object("cache_control")
    if mark is None:
        return None
    ttl = mark.text("ttl")
    mark.drop("type")
    mark.done()
    return CacheMark("1h" if ttl == "1h" else "5m")


def _tools(fields: Fields) -> tuple[ToolSpec, ...]:
    tools: list[ToolSpec] = []
    for tool in fields.objects("tools"):
        type_ = tool.text("type") or "function"
        if type_ != "function":
            # A tool of the provider's own (web_search, custom): no other provider has it.
            fields.unread.append(tool.at)
            continue
        function = tool.object("function")
        if function is None:
            raise missing(tool.path("function"))
        tools.append(_tool(function, _cache(tool)))
        tool.done()
    for function in fields.objects("functions"):
        tools.append(_tool(function, None))
    return tuple(tools)


def _tool(function: Fields, cache: CacheMark | None) -> ToolSpec:
    spec = ToolSpec(
        name=function.needed_text("name"),
        description=function.text("description"),
        strict=function.flag("strict"),
        cache=cache,
        at=function.at,
    )
    parameters = function.raw("parameters")
    function.done()
    return spec if parameters is None else replace(spec, parameters=parameters)


def _tool_choice(choice: Any, at: str) -> ToolChoice:
    if isinstance(choice, str):
        if choice not in ("auto", "none", "required"):
            raise BadRequest(f"The field {at} must be auto, none, required or a function.", param=at)
        return ToolChoice(mode=cast(Any, choice))
    if not isinstance(choice, dict):
        raise wrong_type(at, dict)
    entry = cast(dict[str, Any], choice)
    function: Any = entry.get("function")
    name = cast(dict[str, Any], function).get("name") if isinstance(function, dict) else entry.get("name")
    if not isinstance(name, str):
        raise missing(f"{at}.function.name")
    return ToolChoice(mode="tool", name=name)


def _sampling(fields: Fields) -> Sampling:
    old, new = fields.whole("max_tokens", least=1), fields.whole("max_completion_tokens", least=1)
    logprobs, top = fields.flag("logprobs"), fields.whole("top_logprobs")
    return Sampling(
        max_tokens=new if new is not None else old,
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        top_k=fields.whole("top_k"),
        stop=fields.texts("stop"),
        seed=fields.whole("seed"),
        presence_penalty=fields.number("presence_penalty"),
        frequency_penalty=fields.number("frequency_penalty"),
        n=fields.whole("n", least=1),
        logprobs=(top or 0) if logprobs else None,
        logit_bias=fields.raw("logit_bias"),
    )


def _output(fields: Fields) -> OutputFormat | None:
    format_ = fields.object("response_format")
    if format_ is None:
        return None
    type_ = format_.word("type", ("text", "json_object", "json_schema"))
    if type_ == "json_object":
        return OutputFormat(mode="json")
    if type_ != "json_schema":
        return None
    schema = format_.object("json_schema")
    if schema is None:
        raise missing(format_.path("json_schema"))
    made = OutputFormat(
        mode="json_schema",
        name=schema.text("name") or "answer",
        description=schema.text("description"),
        strict=schema.flag("strict"),
        schema=schema.raw("schema"),
    )
    if made.schema is None:
        raise missing(schema.path("schema"))
    schema.done()
    format_.done()
    return made


def _reasoning(fields: Fields) -> ReasoningWish | None:
    """`reasoning_effort`, or OpenRouter's `reasoning` object."""
    effort = fields.word("reasoning_effort", _EFFORTS)
    inner = fields.object("reasoning")
    if inner is None:
        return None if effort is None else ReasoningWish(effort=cast(Any, effort))
    wish = ReasoningWish(
        effort=cast(Any, inner.word("effort", _EFFORTS) or effort),
        budget_tokens=inner.whole("max_tokens", least=0),
    )
    excluded, enabled = inner.flag("exclude"), inner.flag("enabled")
    inner.done()
    if enabled is False:
        return ReasoningWish(effort="none")
    return wish if excluded is None else replace(wish, is_shown=not excluded)


# --- what they expect


def write_answer(answer: Answer, reply: Reply, usage: Usage | None) -> bytes:
    """One `chat.completion`."""
    message: dict[str, Any] = {"role": "assistant", "content": None}
    texts = [part.text for part in answer.parts if isinstance(part, Text)]
    if texts:
        message["content"] = "".join(texts)
    message["refusal"] = "".join(part.text for part in answer.parts if isinstance(part, Refusal)) or None
    thoughts = [part for part in answer.parts if isinstance(part, Reasoning)]
    if any(thought.text for thought in thoughts):
        message["reasoning_content"] = "".join(thought.text for thought in thoughts)
    if details := [_detail(n, thought.text, thought.opaque, thought.is_redacted) for n, thought in enumerate(thoughts)]:
        message["reasoning_details"] = details
    if calls := [_call_entry(part) for part in answer.parts if isinstance(part, ToolCall)]:
        message["tool_calls"] = calls
    if images := [_image_entry(part) for part in answer.parts if isinstance(part, Image)]:
        message["images"] = images
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _FINISH[answer.finish]}
    whole: dict[str, Any] = {
        "id": f"chatcmpl-{reply.id}",
        "object": "chat.completion",
        "created": reply.created,
        "model": reply.model,
        "choices": [choice],
    }
    if usage is not None:
        whole["usage"] = usage_entry(usage)
    return _encode(whole)


def _call_entry(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": bytes(call.arguments).decode()}
    entry: dict[str, Any] = {"id": call.id, "type": "function", "function": function}
    if call.opaque is not None:
        entry["extra_content"] = _extra(call.opaque)
    return entry


def _extra(opaque: Opaque) -> dict[str, Any]:
    return {"google": {"thought_signature": neutral.opaque_text(opaque, "google")}}


def _detail(n: int, text: str, opaque: Opaque | None, is_redacted: bool) -> dict[str, Any]:
    """OpenRouter's shape, which clients that keep thoughts know: https://openrouter.ai/docs/use-cases/reasoning-tokens"""
    mark = None if opaque is None else neutral.opaque_text(opaque, HOME)
    if is_redacted:
        return {"type": "reasoning.encrypted", "data": mark, "format": None, "index": n}
    return {"type": "reasoning.text", "text": text, "signature": mark, "format": None, "index": n}


def _image_entry(image: Image) -> dict[str, Any]:
    source = image.source
    url = source.url or f"data:{source.media_type};base64,{source.data}"
    return {"type": "image_url", "image_url": {"url": url}}


def usage_entry(usage: Usage) -> dict[str, Any]:
    """A partition as OpenAI writes it: the input count contains what was read from and written to a cache."""
    prompt, completion = usage.input_total, usage.output + usage.audio_out
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write_5m + usage.cache_write_1h,
            "audio_tokens": usage.audio_in,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": usage.audio_out},
    }


class StreamWriter:
    """Chunks. States: nothing said yet → deltas → finished; every chunk but the last has one choice."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        head = {"id": f"chatcmpl-{reply.id}", "object": "chat.completion.chunk", "created": reply.created}
        head["model"] = reply.model
        # All chunks begin alike.
        self._head = b"data: " + _encode(head)[:-1] + b',"choices":['
        self._finish: Finished | None = None
        self._thoughts = 0
        self._has_thought = False
        self._pictures = 0

    def begin(self) -> bytes:
        return self._chunk(b'{"role":"assistant","content":"","refusal":null}')

    def write(self, events: list[Event]) -> bytes:
        return b"".join([self._one(event) for event in events])

    def beat(self) -> bytes:
        return b": waiting\n\n"

    def end(self, usage: Usage | None) -> bytes:
        finish = _FINISH[self._finish.finish if self._finish is not None else "stop"]
        last = self._chunk(b"{}", finish)
        if self._reply.wants_usage:
            counted = _encode(usage_entry(usage)) if usage is not None else b"null"
            last += self._head + b'],"usage":' + counted + b"}\n\n"
        return last + b"data: [DONE]\n\n"

    def _one(self, event: Event) -> bytes:
        if self._finish is not None:
            return b""
        kind = event.__class__
        if kind is TextDelta:
            return self._chunk(b'{"content":' + _encode(cast(TextDelta, event).text) + b"}")
        match event:
            case ReasoningDelta():
                self._has_thought = True
                return self._delta({"reasoning_content": event.text})
            case ReasoningEnd():
                return self._end_thought(event)
            case ToolCallStart():
                entry: dict[str, Any] = {"index": event.index, "id": event.id, "type": "function"}
                entry["function"] = {"name": event.name, "arguments": ""}
                if event.opaque is not None:
                    entry["extra_content"] = _extra(event.opaque)
                return self._delta({"tool_calls": [entry]})
            case ToolCallDelta():
                return self._delta({"tool_calls": [{"index": event.index, "function": {"arguments": event.text}}]})
            case RefusalDelta():
                return self._delta({"refusal": event.text})
            case Produced(part=Image() as image):
                entry = {"index": self._pictures, **_image_entry(image)}
                self._pictures += 1
                return self._delta({"images": [entry]})
            case Finished():
                self._finish = event
            case _:
                pass
        return b""

    def _end_thought(self, event: ReasoningEnd) -> bytes:
        n, had_text = self._thoughts, self._has_thought
        self._thoughts, self._has_thought = n + 1, False
        if event.opaque is None:
            return b""
        detail = _detail(n, "", event.opaque, event.is_redacted or not had_text)
        return self._delta({"reasoning_details": [detail]})

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return self._chunk(_encode(delta))

    def _chunk(self, delta: bytes, finish: str | None = None) -> bytes:
        reason = b"null" if finish is None else b'"' + finish.encode() + b'"'
        return self._head + b'{"index":0,"delta":' + delta + b',"logprobs":null,"finish_reason":' + reason + b"}]}\n\n"


def stream_writer(reply: Reply) -> StreamWriter:
    return StreamWriter(reply)
