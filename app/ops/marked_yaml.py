"""YAML (or JSON) read as a tree that knows where each value stands, so that every fault can be told with line and path.

Only what a settings file needs: one document of mappings, lists and plain values. Anchors, aliases, tags and merge keys
are refused, which also takes the bombs that are made of them.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Sequence
from typing import Any

import yaml
from msgspec import Struct

from app.base.errors import BadValue

# PyYAML's stubs leave the two functions that are used here half unknown.
_yaml: Any = yaml

MAX_BYTES = 2 * 1024 * 1024
_MAX_DEPTH = 20
_CORE = "tag:yaml.org,2002:"

_PLAIN_INTEGER = re.compile(r"0|[1-9][0-9]{0,17}")
_QUOTED = re.compile(r"'[^']{2,}'")

_IS_CALLED = {"str": "text", "int": "a number", "float": "a number", "bool": "yes or no", "null": "nothing"}


class Fault(Struct, frozen=True):
    """One thing that is wrong. Renders as `hub.yaml:14: models[0].type: …`."""

    source: str
    line: int
    path: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.source}:{self.line}: {self.path + ': ' if self.path else ''}{self.sentence}"


class FileRefused(BadValue):
    """A file with faults; all of them are in the sentence, one per line."""

    code = "file_refused"

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: fault.line))
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        lines = "\n".join(str(fault) for fault in self.faults)
        super().__init__(f"The file has {count}; nothing was changed.\n{lines}")


class Book:
    """Where faults are written down while a file is read."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.faults: list[Fault] = []

    def note(self, line: int, path: str, sentence: str) -> None:
        self.faults.append(Fault(self.source, line, path, sentence))

    def close(self) -> None:
        """
        Raises:
            FileRefused: something was noted.
        """
        if self.faults:
            raise FileRefused(self.faults)


class Entry:
    """A value with its place. What it cannot be read as is noted in the book, and something harmless is given back."""

    def __init__(self, node: yaml.Node, path: str, book: Book) -> None:
        self._node = node
        self.path = path
        self.book = book

    @property
    def line(self) -> int:
        return self._node.start_mark.line + 1

    @property
    def kind(self) -> str:
        """`str int float bool null timestamp` of a plain value, else `map` or `seq`."""
        return self._node.tag.removeprefix(_CORE)

    @property
    def raw(self) -> str:
        """A plain value as it is written; `""` of anything else."""
        return self._node.value if isinstance(self._node, yaml.ScalarNode) else ""

    def fault(self, sentence: str) -> None:
        self.book.note(self.line, self.path, sentence)

    def text(self) -> str:
        """Text. Anything that YAML takes for something else must be quoted."""
        if self.kind == "str":
            return _joined(self.raw)
        if not isinstance(self._node, yaml.ScalarNode) or self.kind == "null":
            self.fault(f"this must be text, not {self._called()}.")
        else:
            self.fault(f"YAML reads this as {self._called()}; write it in quotes to make it text.")
        return ""

    def integer(self, low: int, high: int) -> int:
        raw = self.raw
        digits = raw.removeprefix("-")
        # YAML also has octal, hexadecimal, binary and base-60 numbers, which nobody means here.
        is_plain = self.kind == "int" and _PLAIN_INTEGER.fullmatch(digits)
        if is_plain and low <= int(raw) <= high:
            return int(raw)
        self.fault(f"this must be a whole number from {low} to {high}.")
        return low

    def boolean(self) -> bool:
        if self.kind == "bool":
            return self.raw.lower() in ("true", "yes", "on")
        self.fault("this must be true or false.")
        return False

    def items(self) -> list[Entry]:
        if not isinstance(self._node, yaml.SequenceNode):
            self.fault(f"this must be a list, not {self._called()}. Write [] for an empty one.")
            return []
        return [Entry(node, f"{self.path}[{index}]", self.book) for index, node in enumerate(self._node.value)]

    def fields(self, known: Collection[str]) -> Fields:
        """The mapping's values by key. Keys that are not `known`, or that come twice, are noted."""
        found: dict[str, Entry] = {}
        if not isinstance(self._node, yaml.MappingNode):
            wanted = f"a mapping with the keys {', '.join(known)}"
            self.fault(f"this must be {wanted}, not {self._called()}.")
            return Fields(self, found, is_mapping=False, is_whole=False)
        is_whole = True
        for key, value in self._node.value:
            name = key.value[:60] if isinstance(key, yaml.ScalarNode) else "?"
            path = f"{self.path}.{name}" if self.path else name
            line = key.start_mark.line + 1
            if name in found:
                self.book.note(line, path, f"this key is here twice; the first is in line {found[name].line}.")
            elif name == "<<":
                self.book.note(line, path, "merge keys are not read; write the values out.")
            elif name not in known:
                is_whole = False
                self.book.note(line, path, f"there is no such key here.{suggestion(name, known)}")
            else:
                found[name] = Entry(value, path, self.book)
        return Fields(self, found, is_mapping=True, is_whole=is_whole)

    def _called(self) -> str:
        if isinstance(self._node, yaml.MappingNode):
            return "a mapping"
        if isinstance(self._node, yaml.SequenceNode):
            return "a list"
        return _IS_CALLED.get(self.kind, "a date" if self.kind == "timestamp" else self.kind)


class Fields:
    """The keys of a mapping."""

    def __init__(self, owner: Entry, found: dict[str, Entry], *, is_mapping: bool, is_whole: bool) -> None:
        self._owner = owner
        self._found = found
        self._is_mapping = is_mapping
        self.is_whole = is_whole
        """Whether every key was known: what is missing may else be what was misspelt."""

    def get(self, name: str) -> Entry | None:
        return self._found.get(name)

    def need(self, name: str) -> Entry | None:
        """The value, whose absence is a fault of the mapping."""
        entry = self._found.get(name)
        if entry is None and self._is_mapping:
            self._owner.fault(f"the key {name} is missing.")
        return entry

    def items(self) -> list[tuple[str, Entry]]:
        return list(self._found.items())


def read_tree(raw: bytes, book: Book) -> Entry:
    """The root of the file.

    Raises:
        FileRefused: it is not UTF-8, not YAML, too large, or uses what is not read here.
    """
    text = _decoded(raw, book)
    try:
        _check_events(text, book)
        book.close()
        root: yaml.Node | None = _yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else mark.line + 1
        # What the parser quotes may be a piece of a secret.
        problem = _QUOTED.sub("a piece of it", error.problem or error.context or "")
        book.note(line, "", f"this is not YAML: {problem}.")
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        book.note(line, "", f"the character #x{int(error.character):04x} is not allowed in YAML.")
    else:
        if root is not None:
            return Entry(root, "", book)
        book.note(1, "", "the file is empty.")
    raise FileRefused(book.faults)


def suggestion(name: str, known: Collection[str]) -> str:
    """` Did you mean "…"?` with the nearest known name, else all of them when they are few."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f' Did you mean "{near[0]}"?'
    return f" Known here: {', '.join(known)}." if 0 < len(known) <= 20 else ""


def _decoded(raw: bytes, book: Book) -> str:
    if len(raw) > MAX_BYTES:
        book.note(1, "", f"the file is larger than {MAX_BYTES // 1024 // 1024} MiB.")
        book.close()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        book.note(raw.count(b"\n", 0, error.start) + 1, "", "the file is not UTF-8.")
        raise FileRefused(book.faults) from None
    if "\t" in text and text.lstrip()[:1] in ("{", "["):
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return text
        # JSON may be indented with tabs, YAML may not. Within its strings JSON has none.
        return text.replace("\t", " ")
    return text


def _check_events(text: str, book: Book) -> None:
    depth = documents = 0
    for event in _yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                book.note(line, "", "the file must be one document; this is the begin of another one.")
        elif isinstance(event, yaml.AliasEvent):
            book.note(line, "", "aliases (*name) are not read; write the value out, or quote it if the * is meant.")
        elif isinstance(event, yaml.NodeEvent):
            if event.anchor is not None:
                book.note(
                    line, "", "anchors (&name) are not read; leave it away, or quote the value if the & is meant."
                )
            if getattr(event, "tag", None) not in (None, "!"):
                book.note(line, "", "tags (!name) are not read; leave it away, or quote the value if the ! is meant.")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                book.note(line, "", f"nested more than {_MAX_DEPTH} levels deep.")
                return
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _joined(text: str) -> str:
    """JSON writes characters outside the first plane as two halves, which PyYAML leaves apart."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
