"""Ark's vectors of texts, pictures and videos: one for all that a request holds.

https://www.volcengine.com/docs/82379/1523520
"""

from __future__ import annotations

import base64
import json
from typing import Any, cast

from tests.emulators import answers, media
from tests.emulators.checks import Body, Refusal

MODELS = ("doubao-embedding-vision-250615",)
TOKENS_OF_A_PICTURE, TOKENS_OF_A_VIDEO = 497, 13_303
_PRESET_TOKENS = 20
"""Texts that the service itself puts beside pictures and videos."""
_FIELDS = frozenset({"model", "input", "encoding_format", "dimensions", "instructions", "sparse_embedding"})
_TYPES = frozenset({"text", "image_url", "video_url"})


def multimodal(body: Any, seq: int) -> Body:
    """Raises: Refusal on everything that is not documented."""
    body = _object(body, "body")
    if not set(body) <= _FIELDS:
        raise _invalid("body")
    if body.get("model") not in MODELS:
        raise Refusal("The requested model does not support this API.", param="model", code="InvalidParameter")
    if body.get("encoding_format") not in (None, "float", "base64"):
        raise _invalid("encoding_format")
    width = body.get("dimensions", 2048)
    if width not in (1024, 2048):
        raise _invalid("dimensions")
    parts = body.get("input")
    if not isinstance(parts, list) or not parts:
        raise _invalid("input")
    parts = cast(list[Any], parts)
    for part in parts:
        _check(part)
    texts = sum(len(answers.tokens(part["text"])) for part in parts if part["type"] == "text")
    pictures = sum(TOKENS_OF_A_PICTURE for part in parts if part["type"] == "image_url")
    pictures += sum(TOKENS_OF_A_VIDEO for part in parts if part["type"] == "video_url")
    texts += _PRESET_TOKENS if pictures else 0
    packed = media.packed(json.dumps(parts, sort_keys=True), width, body.get("encoding_format"))
    return {
        "id": f"0217{seq:056d}",
        "created": 1_743_575_029,
        "model": body["model"],
        "object": "list",
        "data": {"embedding": packed, "object": "embedding"},
        "usage": {
            "prompt_tokens": texts + pictures,
            "prompt_tokens_details": {"image_tokens": pictures, "text_tokens": texts},
            "total_tokens": texts + pictures,
        },
    }


def _check(part: Any) -> None:
    given = _object(part, "input")
    place = str(given.get("type"))
    if place not in _TYPES or set(given) != {"type", place}:
        raise _invalid("input.type")
    if place == "text":
        if not isinstance(given["text"], str) or not given["text"]:
            raise _invalid("input.text")
        return
    inner = _object(given[place], f"input.{place}")
    url = inner.get("url")
    if set(inner) != {"url"} or not isinstance(url, str):
        raise _invalid(f"input.{place}")
    if url.startswith(f"data:{place.removesuffix('_url')}/"):
        try:
            base64.b64decode(url.partition(";base64,")[2], validate=True)
        except ValueError:
            raise _invalid(f"input.{place}.url") from None
    elif not url.startswith(("http://", "https://")):
        raise _invalid(f"input.{place}.url")


def _object(value: Any, name: str) -> Body:
    if not isinstance(value, dict):
        raise _invalid(name)
    return cast(Body, value)


def _invalid(name: str) -> Refusal:
    said = f"The parameter `{name}` specified in the request are not valid."
    return Refusal(said, param=name, code="InvalidParameter", type_="BadRequest")
