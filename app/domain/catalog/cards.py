"""Rate cards: the lines that price a call, with prices worked out, and what a usage comes to under them.

Pure: a card is made of rates and terms (`pricing.py`), pinned when a call is admitted, and kept (`cards_store.py`), so
that what was charged can be worked out again for ever. Its id is the digest of its content, the same on every machine.

Of a meter's lines whose conditions hold, the most specific is taken. A meter without a line is charged by another one:
cached and spoken input as `input` (an hour's cache write first as that of five minutes), spoken output as `output`.
`reasoning` is a part of output and never charged by itself. What has no line even so is either part of something that
has one, and costs nothing, or its price is unknown, and so is that of the whole call:

- tokens are part of a lined picture, second or character that the call consumed; or of the call itself, where the card
  has a line for `requests` and none for tokens. Input that made nothing costs nothing where no tokens are priced.
- pictures are part of lined output tokens, seconds and characters of any lined tokens; all of them of each other, and
  of the call itself, as tokens are.
- requests and web searches are part of the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from math import lcm
from operator import attrgetter

import msgspec
from msgspec import Struct

from app.base.money import MAX_NANO, NANO
from app.base.usage import METERS, Usage
from app.domain.catalog.conditions import ALWAYS, Asker, Condition, Facts, facts_json, read_facts

__all__ = [
    "ALWAYS",
    "Card",
    "Condition",
    "Facts",
    "Item",
    "Line",
    "charge",
    "charge_of_cost",
    "content",
    "cost",
    "facts_json",
    "is_priced",
    "items",
    "make",
    "read",
    "read_facts",
]

_WHOLE = 10_000
"""Basis points of one."""

_FALLBACKS: Mapping[str, tuple[str, ...]] = {
    "cache_read": ("input",),
    "cache_write_5m": ("input",),
    "cache_write_1h": ("cache_write_5m", "input"),
    "audio_in": ("input",),
    "audio_out": ("output",),
}
_TOKENS_IN = frozenset({"input", "cache_read", "cache_write_5m", "cache_write_1h", "audio_in"})
_TOKENS_OUT = frozenset({"output", "audio_out"})
_TOKENS = _TOKENS_IN | _TOKENS_OUT
_PIECES = frozenset({"images", "seconds", "characters"})
_CHARGED = tuple(meter for meter in METERS if meter != "reasoning")
_ORDER: Mapping[str, int] = {meter: place for place, meter in enumerate(METERS)}

_SPOKEN = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h", "audio_in", "audio_out")
_SURCHARGES = ("requests", "web_searches")

_EXTRAS = frozenset(_SURCHARGES)

_counts = attrgetter(*_CHARGED)


class Line(Struct, frozen=True, kw_only=True):
    """What a meter costs and is sold at under a condition."""

    rate_id: str
    meter: str
    per_units: int
    cost_nano: int | None
    """nano-USD per `per_units`; None: unknown."""
    price_nano: int | None
    """nano-credits per `per_units`, explicit or worked out; None: unknown."""
    condition: Condition = ALWAYS


class Item(Struct, frozen=True, kw_only=True):
    """Units of one meter, and the line that prices them; without one they are part of something else, or unknown."""

    meter: str
    units: int
    line: Line | None


class Card(Struct, frozen=True, kw_only=True, dict=True):
    id: str
    """The first 32 hexadecimal digits of the SHA-256 of its content. See `make`."""
    deployment_id: str
    lines: tuple[Line, ...]
    credit_price_nano: int
    """nano-USD that a credit stood for."""
    markup_basis_points: int
    sells_below_cost: bool = False

    @cached_property
    def table(self) -> Table:
        """The lines made ready; made once."""
        return Table(self.lines)


class _Content(Struct, frozen=True, kw_only=True):
    deployment_id: str
    lines: tuple[Line, ...]
    credit_price_nano: int
    markup_basis_points: int
    sells_below_cost: bool


_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(_Content).decode


def make(
    *,
    deployment_id: str,
    lines: Iterable[Line],
    credit_price_nano: int,
    markup_basis_points: int,
    sells_below_cost: bool = False,
) -> Card:
    """A card with its id. The order of the lines makes no difference."""
    said = _Content(
        deployment_id=deployment_id,
        lines=tuple(sorted(lines, key=lambda line: (_ORDER[line.meter], line.condition.key, line.rate_id))),
        credit_price_nano=credit_price_nano,
        markup_basis_points=markup_basis_points,
        sells_below_cost=sells_below_cost,
    )
    return _card(_encode(said), said)


def content(card: Card) -> str:
    """Canonical JSON of all but the id."""
    said = _Content(
        deployment_id=card.deployment_id,
        lines=card.lines,
        credit_price_nano=card.credit_price_nano,
        markup_basis_points=card.markup_basis_points,
        sells_below_cost=card.sells_below_cost,
    )
    return _encode(said).decode()


def read(content: str) -> Card:
    """The card of a stored content; its id is worked out, so that a content that was changed shows.

    Raises:
        msgspec.MsgspecError: it is no content of a card.
    """
    return _card(content.encode(), _decode(content))


def items(card: Card, usage: Usage, facts: Facts) -> list[Item]:
    """What was consumed, meter by meter, each with the line that is for it."""
    found = card.table.lines_of(usage, facts)
    return [Item(meter=meter, units=units, line=line) for meter, units, line in found]


def cost(card: Card, usage: Usage, facts: Facts) -> int | None:
    """nano-USD that the provider charges for the usage, rounded once, half to even; None: a part of it is unknown."""
    table = card.table
    lined = table.lines_of(usage, facts)
    if not table.explains(lined):
        return None
    total = 0
    for _, units, line in lined:
        if line is not None:
            if line.cost_nano is None:
                return None
            total += units * line.cost_nano * (table.scale // line.per_units)
    return min(_half_even(total, table.scale), MAX_NANO)


def charge(card: Card, usage: Usage, facts: Facts) -> int | None:
    """nano-credits for the usage: the exact sum, rounded up once; None: a part of it has no price.

    Not more than `MAX_NANO`, which no balance ever holds.
    """
    table = card.table
    prices = table.token_prices
    if prices is not None and not (usage.images or usage.seconds or usage.characters):
        a, b, c, d, e, f, g, h, i = prices
        total = (
            usage.input * a
            + usage.output * b
            + usage.cache_read * c
            + usage.cache_write_5m * d
            + usage.cache_write_1h * e
            + usage.audio_in * f
            + usage.audio_out * g
            + usage.requests * h
            + usage.web_searches * i
        )
        return min(-(-total // table.scale), MAX_NANO)
    lined = table.lines_of(usage, facts)
    if not table.explains(lined):
        return None
    total = 0
    for _, units, line in lined:
        if line is not None:
            if line.price_nano is None:
                return None
            total += units * line.price_nano * (table.scale // line.per_units)
    return min(-(-total // table.scale), MAX_NANO)


def charge_of_cost(card: Card, cost_nano: int) -> int:
    """nano-credits for a cost in nano-USD that the provider itself has told, with the card's markup, rounded up. What
    is sold for nothing stays free."""
    if card.lines and all(line.price_nano == 0 for line in card.lines):
        return 0
    points = card.markup_basis_points if card.sells_below_cost else max(card.markup_basis_points, 0)
    return min(-(-cost_nano * (_WHOLE + points) * NANO // (_WHOLE * card.credit_price_nano)), MAX_NANO)


def is_priced(card: Card, meters: Collection[str]) -> bool:
    """Whether whatever a call at an endpoint with these meters consumes can be charged.

    A meter counts that has a price without any condition; zero is a price. What is enough:

    - pictures, seconds or characters, if the endpoint has them: that is what is sold there;
    - or tokens: of input and output, what the endpoint has of them;
    - or requests, unless tokens have prices too: then those must be enough;
    - and where nothing but requests is counted, a card that says zero throughout.
    """
    table = card.table
    priced, asked = table.priced, frozenset(meters)
    if not priced.isdisjoint(asked & _PIECES):
        return True
    tokens = asked & {"input", "output"}
    if tokens and tokens <= priced:
        return True
    if "requests" in asked & priced and not table.has_tokens:
        return True
    return table.is_free and asked <= _EXTRAS


class Table:
    """A card's lines made ready: which are asked for a meter, in which order."""

    __slots__ = ("chains", "has_tokens", "is_by_piece", "is_free", "priced", "scale", "token_prices")

    def __init__(self, lines: Sequence[Line]) -> None:
        self.scale = lcm(*(line.per_units for line in lines))
        """Amounts are summed in parts of this, so that nothing is rounded before the end."""
        own: dict[str, list[Line]] = {}
        for line in lines:
            own.setdefault(line.meter, []).append(line)
        self.has_tokens = not _TOKENS.isdisjoint(own)
        self.is_by_piece = not (_PIECES | {"requests"}).isdisjoint(own)
        self.is_free = bool(lines) and all(line.price_nano == 0 for line in lines)
        self.priced = frozenset(line.meter for line in lines if line.condition.is_empty and line.price_nano is not None)
        """Meters with a price that always holds."""
        self.chains: Mapping[str, tuple[tuple[Asker | None, Line], ...]] = {
            meter: tuple(
                (None if line.condition.is_empty else Asker(line.condition), line)
                for source in (meter, *_FALLBACKS.get(meter, ()))
                for line in sorted(own.get(source, ()), key=_most_specific_first)
            )
            for meter in _CHARGED
        }
        self.token_prices = self._token_prices()

    def lines_of(self, usage: Usage, facts: Facts) -> list[tuple[str, int, Line | None]]:
        """Meter, units and line of everything that was consumed."""
        total = usage.input_total
        found: list[tuple[str, int, Line | None]] = []
        for meter, units in zip(_CHARGED, _counts(usage), strict=True):
            if units:
                chosen = None
                for asker, line in self.chains[meter]:
                    if asker is None or asker.holds(total, facts):
                        chosen = line
                        break
                found.append((meter, units, chosen))
        return found

    def explains(self, lined: Iterable[tuple[str, int, Line | None]]) -> bool:
        """Whether all that has no line is part of something that has one."""
        found = {meter for meter, _, line in lined if line is not None}
        left = {meter for meter, _, line in lined if line is None} - _EXTRAS
        if not left or not found.isdisjoint(_PIECES) or ("requests" in found and not self.has_tokens):
            return True
        if left <= _TOKENS_IN:
            return self.is_by_piece and not self.has_tokens
        if not left.isdisjoint(_TOKENS):
            return False
        return not found.isdisjoint(_TOKENS_OUT if "images" in left else _TOKENS)

    def _token_prices(self) -> tuple[int, ...] | None:
        """Prices of the meters of a conversation, in parts of `scale`; None where they depend on the call, or lack."""
        prices: list[int] = []
        for meter in (*_SPOKEN, *_SURCHARGES):
            first = next(iter(self.chains[meter]), None)
            if first is None:
                if meter in _SPOKEN:
                    return None
                prices.append(0)
                continue
            asker, line = first
            if asker is not None or line.price_nano is None:
                return None
            prices.append(line.price_nano * (self.scale // line.per_units))
        return tuple(prices)


def _card(encoded: bytes, said: _Content) -> Card:
    return Card(
        id=hashlib.sha256(encoded).hexdigest()[:32],
        deployment_id=said.deployment_id,
        lines=said.lines,
        credit_price_nano=said.credit_price_nano,
        markup_basis_points=said.markup_basis_points,
        sells_below_cost=said.sells_below_cost,
    )


def _most_specific_first(line: Line) -> tuple[int, int, str, str]:
    keys, over = line.condition.specificity()
    return -keys, -over, line.condition.key, line.rate_id


def _half_even(numerator: int, denominator: int) -> int:
    whole, rest = divmod(numerator, denominator)
    twice = 2 * rest
    return whole + (twice > denominator or (twice == denominator and whole % 2 == 1))
