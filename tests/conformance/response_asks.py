"""What the tests of the Responses API ask, and of whom: a provider that has it, and others that have not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.doors import Door

PASSED, TRANSLATED = "openai/gpt-4o-mini", "doubao/doubao-seed-1-6-250615"
THINKING_PASSED, THINKING = "openai/o3-mini", "deepseek/deepseek-reasoner"
MODELS = pytest.mark.parametrize("model", [PASSED, TRANSLATED])
TOOLS: list[Any] = [
    {
        "type": "function",
        "name": name,
        "description": f"Looks up the {name}.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
            "additionalProperties": False,
        },
        "strict": True,
    }
    for name in ("weather", "time")
]
PATCH: Any = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Edits files.",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/s"},
}
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5Er"
    "kJggg=="
)


def sent(door: Door, model: str) -> dict[str, Any]:
    """The newest request that reached the provider of `model`."""
    return door.sent(model.partition("/")[0])["body"]
