"""What is asked and what is heard, in no format at all: each client's driver says it in its own."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Json = dict[str, Any]
Finish = Literal["stop", "length", "tool_calls", "other"]

PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""One pixel."""


@dataclass(frozen=True, kw_only=True)
class Called:
    id: str
    name: str
    arguments: Json
    kept: Any = None
    """Whatever of the client's own object has to be given back: a signature."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    role: Literal["user", "assistant", "results"]
    text: str = ""
    picture: bytes | None = None
    calls: tuple[Called, ...] = ()
    results: tuple[tuple[Called, str], ...] = ()
    kept: Any = None
    """Of an assistant's turn: `Heard.kept`, which a good client sends back as it came."""


def user(text: str, picture: bytes | None = None) -> Turn:
    return Turn(role="user", text=text, picture=picture)


@dataclass(frozen=True, kw_only=True)
class Ask:
    turns: tuple[Turn, ...]
    system: str | None = None
    tools: tuple[tuple[str, Json], ...] = ()
    """Names and the schemas of their arguments."""
    schema: Json | None = None
    stop: tuple[str, ...] = ()
    max_tokens: int = 2000
    effort: Literal["low", "high"] | None = None


@dataclass(kw_only=True)
class Heard:
    text: str = ""
    thoughts: str = ""
    calls: tuple[Called, ...] = ()
    finish: Finish = "other"
    input_tokens: int = 0
    output_tokens: int = 0
    kept: Any = None
    """The turn in the client's own shape, thoughts and signatures included."""
    fidelity: str = ""
    """The header `x-hub-fidelity`."""


class Refused(Exception):
    """An error in place of an answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status, self.message = status, message


class Broke(Exception):
    """An error after an answer had begun."""

    def __init__(self, heard: str, message: str) -> None:
        super().__init__(f"after {heard!r}: {message}")
        self.heard = heard


class Driver(Protocol):
    """One client library, pointed at the hub."""

    title: str

    async def ask(self, model: str, ask: Ask, *, is_streamed: bool) -> Heard:
        """
        Raises:
            Refused, Broke
        """
        ...

    async def close(self) -> None: ...
