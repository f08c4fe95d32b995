"""What orders for pictures and videos have in common: where their settings stand, files that come along, delivery."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

from app.wire import pictures
from app.wire.aigne import parts
from app.wire.aigne.spelling import places_of, spelt
from app.wire.fields import Fields, wrong_type
from app.wire.neutral import Source
from app.wire.request import Request, fields_of

Names = Mapping[str, tuple[str, ...]]

_DELIVERIES: dict[str, Literal["url", "inline"]] = {
    "url": "url",
    "file": "inline",
    "local": "inline",
    "b64_json": "inline",
    "base64": "inline",
}


class Settings:
    """An order's fields. Settings stand beside the prompt or in the model's options; `auto` is as good as nothing."""

    def __init__(self, request: Request, names: Names, *, is_plain: bool = False) -> None:
        """`names`: our name of a setting → AIGNE's."""
        self._names = names
        self._document = fields_of(request)
        self._document.drop("agent", "options", "model", "stream")
        given = self._document if is_plain else self._document.object("input")
        self.given = given if given is not None else Fields({}, "input", self._document.unread)
        asked = self.given.object(spelt(self.given, "modelOptions"))
        self._asked = asked if asked is not None else Fields({}, self.given.path("modelOptions"), self.given.unread)
        for fields in (self.given, self._asked):
            fields.drop("model", "preferInputFileType", "prefer_input_file_type")
        self.places = places_of(self._asked, names) | places_of(self.given, names)

    def at(self, setting: str) -> str:
        return self.places.get(setting, setting)

    def where(self, setting: str) -> tuple[Fields, str]:
        """The object in which a setting stands, and its name there."""
        name = spelt(self.given, *self._names[setting])
        if self.given.has(name):
            return self.given, name
        return self._asked, spelt(self._asked, *self._names[setting])

    def text(self, setting: str) -> str | None:
        fields, name = self.where(setting)
        value = fields.text(name)
        return None if value in (None, "", "auto") else value

    def whole(self, setting: str, least: int | None = None) -> int | None:
        fields, name = self.where(setting)
        return fields.whole(name, least=least)

    def delivery(self) -> Literal["url", "inline"] | None:
        """`outputFileType`, or as OpenAI's pictures say it."""
        asked = self.given.word(spelt(self.given, "outputFileType"), _DELIVERIES)
        wanted = self.given.word(spelt(self.given, "responseFormat"), _DELIVERIES)
        word = wanted or asked
        return None if word is None else _DELIVERIES[word]

    def files(self, setting: str) -> tuple[Source, ...]:
        """One file or several: objects as in messages, or strings with a URL, a data URL or base64."""
        fields, name = self.where(setting)
        value, at = fields.any(name), fields.path(name)
        values: list[Any] = [*cast(list[Any], value)] if isinstance(value, list) else [] if value is None else [value]
        found: list[Source] = []
        for n, one in enumerate(values):
            path = f"{at}[{n}]" if isinstance(value, list) else at
            if isinstance(one, str):
                found.append(pictures.source_of(one))
                continue
            if not isinstance(one, dict):
                raise wrong_type(path, dict)
            part = Fields.of(cast(Any, one), path, fields.unread)
            found.append(parts.source_of(part, part.text("type"))[0])
            part.done()
        return tuple(found)

    def unread(self) -> tuple[str, ...]:
        """Once everything has been read: the paths of what is left."""
        for fields in (self._asked, self.given, self._document):
            fields.done()
        return tuple(self._document.unread)
