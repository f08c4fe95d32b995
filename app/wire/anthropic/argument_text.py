"""The arguments of a tool call as they stream in, followed so far that only the beginning of a JSON object goes out.

Anthropic's libraries read the arguments at every piece and raise on what cannot become JSON. Models do write such; then
what came until there is completed, and a text that never was an object is wrapped whole.
"""

from __future__ import annotations

import re

from app.wire import neutral

_MOST_DEPTH = 100
"""Of objects and arrays in each other; the libraries' own readers give up somewhere above."""
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_NUMBER_BEGUN = re.compile(r"-?(?:(?:0|[1-9]\d*)(?:\.\d*|(?:\.\d+)?[eE][+-]?\d*)?)?")
_LITERALS = ("true", "false", "null")
_CLOSING = {"{": "}", "[": "]"}
_MOST_NUMBER = 300


class ArgumentText:
    """States: before the object → a key, a colon, a value, a comma … → after the object."""

    def __init__(self) -> None:
        self._stack: list[str] = []
        self._wanted = "object"
        """What has to come: object, key, key or end, colon, value, value or end, comma or end, nothing."""
        self._text: str | None = None
        """`""` inside a string; else what came of an escape."""
        self._is_key: bool = False
        self._word = ""
        """A number or literal that has begun."""
        self._high = False
        """Whether the last escape was half of a surrogate pair."""
        self._begun = False
        self._broken = False
        self._raw: list[str] = []
        """All of it, where it did not begin as an object."""

    @property
    def is_whole(self) -> bool:
        return self._wanted == "nothing"

    def feed(self, text: str) -> str:
        """What of `text` may go out."""
        if self._broken or self.is_whole:
            if self._raw:
                self._raw.append(text)
            return ""
        for at, char in enumerate(text):
            if not self._take(char):
                self._broken = True
                if not self._begun:
                    self._raw.append(text)
                    return ""
                return text[:at]
            if self.is_whole:
                return text[: at + 1]
        return text if self._begun else ""

    def rest(self) -> str:
        """What makes it a whole object; empty where it is one, or where nothing came, which is `{}` by itself."""
        if self._raw:
            return bytes(neutral.arguments_of("".join(self._raw))).decode()
        if self.is_whole or not self._begun:
            return ""
        made = self._rest_of_word()
        if self._wanted == "colon":
            made += ":null"
        elif self._wanted == "value":
            made += "null"
        elif self._wanted == "key":
            made += '"":null'
        return made + "".join(_CLOSING[one] for one in reversed(self._stack))

    def _rest_of_word(self) -> str:
        if self._text is not None:
            made = self._rest_of_escape() + '"'
            self._end_string()
            return made
        if not self._word:
            return ""
        word, self._word = self._word, ""
        self._wanted = "comma or end"
        literal = next((one for one in _LITERALS if one.startswith(word)), None)
        return literal[len(word) :] if literal is not None else "" if _NUMBER.fullmatch(word) else "0"

    def _rest_of_escape(self) -> str:
        """A pair of surrogates that has begun is brought to its end; in any other escape zeros do."""
        escape = self._text or ""
        if not escape:
            return "\\udc00" if self._high else ""
        if self._high:
            return ("\\udc00")[len(escape) :] if "\\udc00".startswith(escape.lower()) else "0" * (6 - len(escape))
        if escape == "\\":
            return "\\"
        made = "0" * (6 - len(escape))
        if _is_high(escape + made):
            return f"{made}\\udc00"
        return made

    def _take(self, char: str) -> bool:
        if self._text is not None:
            return self._take_in_string(char)
        if self._word:
            if char.isalnum() or char in "+-.":
                self._word += char
                return self._is_word()
            if not (self._word in _LITERALS or _NUMBER.fullmatch(self._word)):
                return False
            self._word, self._wanted = "", "comma or end"
        if char in " \t\n\r":
            return True
        return self._take_mark(char)

    def _take_mark(self, char: str) -> bool:
        wanted = self._wanted
        if char in "}]":
            if not self._stack or _CLOSING[self._stack[-1]] != char or not wanted.endswith("or end"):
                return False
            self._stack.pop()
            self._wanted = "comma or end" if self._stack else "nothing"
            return True
        if char == "," and wanted == "comma or end":
            self._wanted = "key" if self._stack[-1] == "{" else "value"
            return True
        if char == ":" and wanted == "colon":
            self._wanted = "value"
            return True
        if char == '"' and wanted.startswith(("key", "value")):
            self._text, self._high = "", False
            self._is_key = wanted.startswith("key")
            return True
        if char in "{[" and (wanted.startswith("value") or (wanted == "object" and char == "{")):
            self._begun = True
            self._stack.append(char)
            self._wanted = "key or end" if char == "{" else "value or end"
            return len(self._stack) <= _MOST_DEPTH
        if wanted.startswith("value"):
            self._word = char
            return self._is_word()
        return False

    def _is_word(self) -> bool:
        word = self._word
        is_number = len(word) <= _MOST_NUMBER and _NUMBER_BEGUN.fullmatch(word) is not None
        return is_number or any(literal.startswith(word) for literal in _LITERALS)

    def _take_in_string(self, char: str) -> bool:
        escape = self._text or ""
        if escape == "\\":
            if char == "u":
                self._text = "\\u"
                return True
            self._text = ""
            return char in '"\\/bfnrt' and not self._high
        if escape:
            if char not in "0123456789abcdefABCDEF":
                return False
            escape += char
            if not self._is_half_in_place(escape):
                return False
            if len(escape) == 6:
                self._high, escape = _is_high(escape), ""
            self._text = escape
            return True
        if char == "\\":
            self._text = "\\"
            return True
        if self._high or char < " ":
            return False
        if char == '"':
            self._end_string()
        return True

    def _is_half_in_place(self, escape: str) -> bool:
        """The second half of a surrogate pair comes after a first one, and nowhere else."""
        begun = escape[2:4].lower()
        is_low = begun in ("dc", "dd", "de", "df")
        return (is_low or begun == "d") if self._high else not is_low

    def _end_string(self) -> None:
        self._text, self._high = None, False
        self._wanted = "colon" if self._is_key else "comma or end"


def _is_high(escape: str) -> bool:
    return escape[2:4].lower() in ("d8", "d9", "da", "db")
