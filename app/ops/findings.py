"""What a check of `hub doctor` says."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Level = Literal["ok", "warning", "fatal"]


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that was looked at. `fatal`: the hub does not start or cannot serve until it is mended."""

    level: Level
    sentence: str
    mend: str = ""
    """What to do, as a command where there is one."""


def ok(sentence: str) -> Finding:
    return Finding(level="ok", sentence=sentence)


def warning(sentence: str, mend: str) -> Finding:
    return Finding(level="warning", sentence=sentence, mend=mend)


def fatal(sentence: str, mend: str = "") -> Finding:
    """Without `mend`, the sentence itself says what to do."""
    return Finding(level="fatal", sentence=sentence, mend=mend)
