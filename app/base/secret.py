"""A value that must not be seen: provider keys, the master key, passwords on their way in.

It prints as dots wherever it ends up by accident (a log line, an exception, a page, a debugger). Whoever needs the text
says `reveal()`, so every use can be found by searching for that word.
"""

from __future__ import annotations

from typing import Final


class Secret:
    """Text that `repr`, `str`, formatting, `vars` and serialisers do not give away."""

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        self.__text: Final = text

    def reveal(self) -> str:
        """The text itself. Hand it to the one call that needs it and keep it nowhere."""
        return self.__text

    def hint(self) -> str:
        """Enough for a person to recognise which secret this is: `sk-…h3Qz`. Short secrets give nothing."""
        text = self.__text
        if len(text) < 16:
            return "…"
        prefix = text[: text.index("-") + 1] if "-" in text[:8] else ""
        return f"{prefix}…{text[-4:]}"

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.__text == self.__text

    def __hash__(self) -> int:
        return hash(self.__text)

    def __reduce__(self) -> str:
        raise TypeError("A Secret is never pickled or copied to another process.")
