"""Names of models in paths, and of fields in both spellings.

Like every API that is made from protocol buffers, this one takes `systemInstruction` and `system_instruction`, and
Google's own library mixes both in one request: https://protobuf.dev/programming-guides/json/
"""

from __future__ import annotations

import re
from typing import Any, cast
from urllib.parse import quote

_FREE = frozenset({"args", "response", "labels", "partMetadata", "properties", "defs", "parametersJsonSchema"}) | {
    "responseJsonSchema",
    "$defs",
    "definitions",
}
"""What stands below these are the caller's own names."""
_SNAKE = re.compile(r"_([a-z0-9])")
_MODELS, _TUNED = "models/", "tunedModels/"


def camel(name: str) -> str:
    return _SNAKE.sub(lambda found: found[1].upper(), name) if "_" in name else name


def in_camel_case(value: Any) -> Any:
    """The same document with the names of the API's own fields in one spelling. In place where it can be."""
    if isinstance(value, list):
        return [in_camel_case(item) for item in cast(list[Any], value)]
    if not isinstance(value, dict):
        return value
    return {(known := camel(name)): _inside(known, held) for name, held in cast(dict[str, Any], value).items()}


def _inside(name: str, held: Any) -> Any:
    if name == "properties" and isinstance(held, dict):
        # Of a schema in Google's own words: the names are the caller's, what they hold is a schema again.
        return {free: in_camel_case(inner) for free, inner in cast(dict[str, Any], held).items()}
    return held if name in _FREE else in_camel_case(held)


def public(model: str) -> str:
    """A model as it stood in a path, as the hub knows it: `models/gpt-4o` is `gpt-4o`."""
    return model.removeprefix(_MODELS)


def resource(model: str) -> str:
    """A provider's own name of a model as a resource: `models/gemini-3.8-flash`, `tunedModels/mine`."""
    return model if model.startswith((_MODELS, _TUNED)) else f"{_MODELS}{model}"


def path(model: str, action: str) -> str | None:
    """Where a call goes whose model is named as a resource; None: where the provider's row says."""
    if not model.startswith((_MODELS, _TUNED)):
        return None
    query = "?alt=sse" if action.startswith("stream") else ""
    return f"/v1beta/{quote(model, safe='/-._~')}:{action}{query}"
