"""What `@aigne/aigne-hub` reads of an answer, as it was recorded: refuses what breaks or is lost on the real client."""

from __future__ import annotations

import json
from typing import Any

Json = dict[str, Any]

USAGE_NUMBERS = ("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheCreationInputTokens")


def merged(stream: str) -> Json:
    """The object that the client makes of a stream.

    Raises:
        AssertionError: a frame that the client cannot parse, or passes over.
    """
    whole: Json = {}
    for frame in stream.split("\n\n"):
        if not frame or frame.startswith(":"):
            assert "\n" not in frame
            continue
        assert frame.startswith("data: ") and "\n" not in frame, f"the client ignores or chokes on {frame!r}"
        event: Json = json.loads(frame.removeprefix("data: "))
        assert list(event) == ["delta"], f"the client passes over {frame!r}"
        delta: Json = event["delta"]
        assert set(delta) <= {"text", "json"}
        for key, text in delta.get("text", {}).items():
            assert isinstance(text, str)
            whole[key] = whole.get(key, "") + text
        whole |= delta.get("json", {})
    return whole


def check_answer(answer: Json) -> None:
    """
    Raises:
        AssertionError: the client's own check of the answer would fail.
    """
    for key in ("text", "thoughts", "model", "modelWithProvider", "finishReason"):
        assert isinstance(answer.get(key, ""), str), key
    for call in answer.get("toolCalls", ()):
        assert isinstance(call["id"], str) and call["type"] == "function"
        assert isinstance(call["function"]["name"], str) and isinstance(call["function"]["arguments"], dict)
    for file in answer.get("files", ()):
        check_file(file)
    check_usage(answer.get("usage"))


def check_file(file: Json) -> None:
    assert file["type"] in ("file", "url"), "a path on the hub's machine means nothing to a client"
    assert isinstance(file["data" if file["type"] == "file" else "url"], str)


def check_usage(usage: Json | None) -> None:
    if usage is not None:
        assert {type(usage[name]) for name in ("inputTokens", "outputTokens")} == {int}
        assert all(type(usage.get(name, 0)) is int for name in USAGE_NUMBERS)
        assert type(usage.get("aigneHubCredits", 0.0)) in (int, float)
        assert usage.get("creditPrefix", "$") in ("$", "€", "¥")
