"""A provider's text, made fit to be shown: without secrets, without whose account the hub uses, and short.

Errors of providers quote keys (whole, or with stars in their middle), name organisations, projects and teams, and give
away internal addresses. What looks like one of these goes, even where it is harmless: a sentence with a gap is better
than a leak.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from app.base.secret import Secret

MAX_CHARACTERS = 300
_MOST_READ = 1_000
_KEY, _ID, _ADDRESS, _PERSON = "[key]", "[id]", "[address]", "[e-mail]"

_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]+")
_WORD = r"[\w\-+/=.]"

# In this order: what is certain goes before what is only likely.
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"[\w.+\-]{1,64}@[\w\-]{1,63}(?:\.[\w\-]{1,63})+"), _PERSON),
    (re.compile(r"\b[a-z][a-z0-9+.\-]{1,20}://[^\s\"'<>]*", re.I), _ADDRESS),
    (re.compile(rf"\b(bearer|basic)\s+{_WORD}+", re.I), rf"\1 {_KEY}"),
    (
        re.compile(
            r"\b((?:x-)?api[-_ ]?key|authorization|access[-_ ]token|secret(?:[-_ ](?:access[-_ ])?key)?|password)"
            r"([\"']?\s{0,3}[:=]\s{0,3}[\"']?)(?!\s|\[key\]|bearer\b|basic\b)[^\s\"',;})\]]+",
            re.I,
        ),
        rf"\1\2{_KEY}",
    ),
    # Not `token: 12`, which is a count.
    (re.compile(r"\b(token)([\"']?\s{0,3}[:=]\s{0,3}[\"']?)(?!\[key\])[^\s\"',;})\]]{6,}", re.I), rf"\1\2{_KEY}"),
    # Stars, dots or an ellipsis with something on a side: a key that its owner would recognise.
    (re.compile(r"[\w\-]{0,80}(?:[*•●]{2,}|…)[\w\-*•●]{1,80}|[\w\-]{1,80}[*•●]{2,}"), _KEY),
    (re.compile(r"(?<![\w\-])[\w\-]{2,80}\.{3,8}\w{2,}"), _KEY),
    (re.compile(r"\b(?:sk|pk|rk|hk|xai|gsk|pplx|nvapi|ark|poe|r8|hf)[-_][\w\-]{6,}"), _KEY),
    (
        re.compile(
            r"\b(?:AIza[\w\-]{10,}|(?:AKIA|ASIA)[A-Z0-9]{8,}|gh[pousr]_\w{10,}|ya29\.[\w\-]+|eyJ[\w\-]+\.[\w\-.]+)"
        ),
        _KEY,
    ),
    (re.compile(r"\b(?:org|proj|acct|acc|wrkspc|ws)[-_][A-Za-z0-9]{3,}(?:[-_][A-Za-z0-9]+)*"), _ID),
    (
        re.compile(
            r"\b(?:organization|project|account|team|user|customer|cus|sub|req|request|trace|resp|chatcmpl|ep|endpoint|key)"
            r"[-_](?=[A-Za-z\-]*[0-9])[A-Za-z0-9\-]{4,}"
        ),
        _ID,
    ),
    (re.compile(r"\barn:aws[\w\-]*:\S+"), _ID),
    # Google's names of accounts.
    (re.compile(r"\b(?:projects|organizations|folders|billingAccounts)/[\w\-]+"), _ID),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.I), _ID),
    (re.compile(r"\b\d{10,}\b"), _ID),
    (re.compile(r"\b(?=\w*[0-9])(?=\w*[A-Za-z])\w{24,}\b"), _ID),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?\b"), _ADDRESS),
    (re.compile(r"\[?\b(?:[0-9a-f]{1,4}:){3,7}:?[0-9a-f]{1,4}\b\]?(?::\d{1,5})?|(?<!\w)::1\b", re.I), _ADDRESS),
    (
        re.compile(
            r"(?<![\w.\-])(?:[\w\-]{1,63}\.){1,8}(?:com|net|org|io|ai|dev|app|cloud|cn|co|eu|de|internal|local|localdomain|lan|corp|svc|"
            r"cluster|arpa)\b(?::\d{1,5})?(?:/[^\s\"'<>]*)?",
            re.I,
        ),
        _ADDRESS,
    ),
    (re.compile(r"\blocalhost(?::\d{1,5})?\b|\b[a-z][\w\-]*:\d{4,5}\b", re.I), _ADDRESS),
)


def scrub(text: str, secrets: Collection[Secret] = ()) -> str:
    """`text` in one line of at most `MAX_CHARACTERS`; `secrets` are the parts of the credential that was used."""
    if len(text) > _MOST_READ:
        # Up to a space: half a key would be harder to recognise.
        text = text[:_MOST_READ].rpartition(" ")[0]
    clean = " ".join(_CONTROLS.sub(" ", _COLOURS.sub("", text)).split())
    for secret in secrets:
        clean = _without(clean, secret.reveal())
    for pattern, instead in _RULES:
        clean = pattern.sub(instead, clean)
    return clean if len(clean) <= MAX_CHARACTERS else f"{clean[: MAX_CHARACTERS - 1]}…"


def _without(text: str, secret: str) -> str:
    """The secret itself, and words that begin or end like it: masked forms show a head and a tail."""
    if len(secret) < 4:
        return text
    text = text.replace(secret, _KEY)
    if len(secret) >= 16:
        head, tail = re.escape(secret[:7]), re.escape(secret[-6:])
        text = re.sub(rf"{head}[^\s\"',;]*|[\w\-*•●.…]{{0,100}}{tail}", _KEY, text)
    return text


def scrub_word(text: object, secrets: Collection[Secret] = ()) -> str | None:
    """A provider's code or the name of a field, if it is one and gives nothing away; else None."""
    if not isinstance(text, str) or not _CODE.fullmatch(text) or scrub(text, secrets) != text:
        return None
    return text


_CODE = re.compile(r"[A-Za-z][\w.\-\[\]]{0,99}")
