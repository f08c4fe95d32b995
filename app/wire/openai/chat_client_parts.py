"""Chat completions, client face: the parts of a message, and the thoughts that a client gives back."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from app.base.errors import BadRequest
from app.wire import neutral
from app.wire.fields import Fields, missing, unknown_type
from app.wire.neutral import Audio, CacheMark, File, Image, Opaque, Reasoning, Refusal, Source, Text

MARKED = ""
"""The home of the opaque values in this format's `reasoning_details`: nobody's, so each says whose it is."""

_AUDIO_TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav"}
_PART_TYPES = ("text", "image_url", "input_audio", "file", "video_url", "refusal")


def content_of(message: Fields) -> tuple[Text | Image | Audio | File | Refusal, ...]:
    """A message's `content`: a string or parts.

    Raises:
        BadRequest
    """
    content = message.any("content")
    at = message.path("content")
    if content is None:
        return ()
    if isinstance(content, str):
        return (Text(text=content, cache=cache_of(message), at=at),) if content else ()
    if not isinstance(content, list):
        raise BadRequest(f"The field {at} must be a string or an array.", param=at)
    parts: list[Text | Image | Audio | File | Refusal] = []
    for n, entry in enumerate(cast(list[Any], content)):
        if isinstance(entry, str):
            parts.append(Text(text=entry, at=f"{at}[{n}]"))
        else:
            part = Fields.of(entry, f"{at}[{n}]", message.unread)
            parts.append(_part(part))
            part.done()
    return tuple(parts)


def cache_of(fields: Fields) -> CacheMark | None:
    """Anthropic's mark, which gateways take inside OpenAI's format too."""
    mark = fields.object("cache_control")
    if mark is None:
        return None
    ttl = mark.text("ttl")
    mark.drop("type")
    mark.done()
    return CacheMark("1h" if ttl == "1h" else "5m")


def source_of(url: str, at: str, media_type: str | None = None) -> Source:
    """A `data:` URL, an address, or bare base64 where `media_type` says what it would be.

    Raises:
        BadRequest: neither.
    """
    if url[:5].lower() == "data:":
        head, comma, data = url[5:].partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise BadRequest(f"The data: URL at {at} must be base64.", param=at)
        return Source(data=data, media_type=head[:-7].partition(";")[0].lower() or media_type or "image/png")
    if url[:8].lower().startswith(("https://", "http://")):
        return Source(url=url, media_type=media_type)
    if media_type is not None:
        return Source(data=url, media_type=media_type)
    raise BadRequest(f"The URL at {at} must begin with https://, http:// or data:.", param=at)


def thoughts_of(message: Fields) -> list[Reasoning]:
    """What an assistant's message says of its thoughts, under any of the three names that servers use."""
    name = "reasoning_content" if message.has("reasoning_content") else "reasoning"
    content, plain = message.text("reasoning_content"), message.text("reasoning")
    thought = content or plain or ""
    details = message.list("reasoning_details")
    if details:
        return _detailed(details, thought, message.path("reasoning_details"))
    return [Reasoning(text=thought, at=message.path(name))] if thought else []


def _detailed(details: list[Any], thought: str, at: str) -> list[Reasoning]:
    """`reasoning_details`, which are this hub's own (see `chat_client_answer`) or OpenRouter's."""
    entries = [cast(dict[str, Any], detail) for detail in details if isinstance(detail, dict)]
    if not all(_is_own(entry) for entry in entries):
        # One value for all of them: OpenRouter wants them back as they came, in their order.
        return [Reasoning(text=thought, opaque=Opaque("openrouter", msgspec.json.encode(details).decode()), at=at)]
    thoughts: list[Reasoning] = []
    for entry in entries:
        text, mark = entry.get("text"), entry.get("signature") or entry.get("data")
        thoughts.append(
            Reasoning(
                text=text if isinstance(text, str) else "",
                opaque=neutral.opaque_from(mark, MARKED) if isinstance(mark, str) else None,
                is_redacted=entry.get("type") == "reasoning.encrypted",
                at=at,
            )
        )
    if thought and not any(one.text for one in thoughts):
        thoughts = [Reasoning(text=thought, opaque=one.opaque, at=at) for one in thoughts[:1]] + thoughts[1:]
    return thoughts


def _is_own(detail: dict[str, Any]) -> bool:
    """Ours have no `format`, and whatever is signed in them says whose it is."""
    mark = detail.get("signature") or detail.get("data")
    is_marked = isinstance(mark, str) and neutral.opaque_from(mark, MARKED).origin != MARKED
    return detail.get("format") is None and (mark is None or is_marked)


def _part(part: Fields) -> Text | Image | Audio | File | Refusal:
    type_ = part.text("type")
    cache = cache_of(part)
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
            return _audio(part, cache)
        case "file":
            return _file(part, cache)
        case "refusal":
            return Refusal(text=part.needed_text("refusal"), at=part.at)
        case _:
            raise unknown_type(part.path("type"), type_, _PART_TYPES)


def _audio(part: Fields, cache: CacheMark | None) -> Audio:
    sound = part.object("input_audio")
    if sound is None:
        raise missing(part.path("input_audio"))
    format_ = sound.text("format") or "wav"
    source = Source(data=sound.needed_text("data"), media_type=_AUDIO_TYPES.get(format_, f"audio/{format_}"))
    sound.done()
    return Audio(source=source, cache=cache, at=part.at)


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
