"""What Gemini's models differ in, told from their names: how thinking is asked for, what their requests may hold."""

from __future__ import annotations

import re

from msgspec import Struct

_VERSION = re.compile(r"gemini-(\d+)(?:\.(\d+))?")
_NEWEST: tuple[int, int] = (99, 0)
"""What names no version (`gemini-flash-latest`) is taken for the newest."""


class Traits(Struct, frozen=True, kw_only=True):
    version: tuple[int, int]
    has_levels: bool
    """Thinking is asked for by a level; before Gemini 3 by a budget.

    https://ai.google.dev/gemini-api/docs/thinking
    """
    has_minimal: bool
    """Whether the lowest level is `minimal`, else `low`: the Flash models before 3.7 have it."""
    thinks: bool
    budget: tuple[int, int] = (0, 24576)
    """The least and the most that may be asked for; a least that is not 0 cannot be switched off."""
    checks_signatures: bool
    """A function call in the current turn without its thought signature is refused.

    https://ai.google.dev/gemini-api/docs/thought-signatures
    """
    takes_sampling: bool
    """From 3.6 on (and 3.5 Flash-Lite) temperature, topP and topK are not taken, the penalties are refused, and the
    last turn must not be the model's.

    https://ai.google.dev/gemini-api/docs/generate-content/whats-new-gemini-3.6
    """
    shows_tools_pictures: bool
    """Pictures may stand inside a function's response: https://ai.google.dev/gemini-api/docs/function-calling"""
    joins_tools_and_json: bool
    """Functions and a JSON answer can be asked for together: https://ai.google.dev/gemini-api/docs/gemini-3"""


def traits(model: str) -> Traits:
    name = model.rpartition("/")[2]
    found = _VERSION.search(name)
    version: tuple[int, int] = (int(found[1]), int(found[2] or 0)) if found is not None else _NEWEST
    # Gemma, LearnLM, tuned models.
    is_foreign = "gemini" not in name or model.startswith("tunedModels/")
    is_lite, is_pro = "flash-lite" in name, "pro" in name
    is_3 = version >= (3, 0)
    return Traits(
        version=version,
        has_levels=is_3,
        has_minimal=is_3 and version < (3, 7) and "flash" in name,
        # Gemma and the models that draw or speak do not think before Gemini 3.
        thinks=not is_foreign and (is_3 or (version >= (2, 5) and "-image" not in name and "-tts" not in name)),
        budget=(128, 32768) if is_pro else (0, 24576),
        checks_signatures=not is_foreign and is_3,
        takes_sampling=is_foreign or (version < (3, 6) and not (is_lite and version >= (3, 5))),
        shows_tools_pictures=is_3 and not is_foreign,
        joins_tools_and_json=is_3,
    )
