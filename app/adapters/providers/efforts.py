"""Which words for an effort of thinking a model takes, by its name: on OpenAI's wire a word too much is a refusal.

Only for requests that are translated. A caller who speaks the format itself is passed on as he speaks.
"""

from __future__ import annotations

import re

_ALL = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_THREE = ("low", "medium", "high")

Rules = tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]


def _rules(*rows: tuple[str, tuple[str, ...]]) -> Rules:
    return tuple((re.compile(pattern), words) for pattern, words in rows)


_OPENAI = _rules(
    (r"(chatgpt-)?gpt-(3|4)|chatgpt-4o|davinci|babbage", ()),
    (r"o1-(mini|preview)", ()),
    (r"o\d", _THREE),
    (r"gpt-5(\.\d+)?-chat", ()),
    (r"gpt-5(-(mini|nano|codex))?(-\d{4}-.*)?$", ("minimal", *_THREE)),
    (r"gpt-5\.1", ("none", *_THREE)),
    (r"gpt-5", ("none", *_THREE, "xhigh")),
)

_XAI = _rules(
    (r"grok-3-mini", ("low", "high")),
    (r"grok-4\.20-multi-agent", (*_THREE, "xhigh")),
    (r"grok-(2|3|code)|grok-4(-|$)|grok-4\.20|grok-4\.1", ()),
    (r"grok-4\.3", ("none", *_THREE)),
    (r"grok-4\.5", _THREE),
    (r"grok-4\.[6-9]", (*_THREE, "xhigh")),
)


def of_openai(model: str) -> tuple[str, ...] | None:
    """https://developers.openai.com/api/docs/guides/reasoning and the models' own pages; newer ones are not known."""
    return _first(_OPENAI, model.removeprefix("ft:"))


def of_xai(model: str) -> tuple[str, ...] | None:
    """https://docs.x.ai/developers/model-capabilities/text/reasoning: other models answer 400 to the parameter."""
    return _first(_XAI, model)


def of_deepseek(_model: str) -> tuple[str, ...] | None:
    """All words are mapped there, `none` is the switch: https://api-docs.deepseek.com/guides/thinking_mode"""
    return _ALL


def of_doubao(_model: str) -> tuple[str, ...] | None:
    """https://www.volcengine.com/docs/82379/1494384: `minimal` does not think; `none` becomes the switch."""
    return ("none", "minimal", *_THREE)


def of_ollama(_model: str) -> tuple[str, ...] | None:
    """https://docs.ollama.com/api/openai-compatibility"""
    return ("none", *_THREE)


def _first(rules: Rules, model: str) -> tuple[str, ...] | None:
    return next((words for pattern, words in rules if pattern.match(model)), None)
