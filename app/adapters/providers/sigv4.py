"""AWS Signature Version 4: proof that a request comes from who holds a secret access key.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, MutableMapping
from datetime import datetime
from urllib.parse import quote, unquote, urlsplit

from msgspec import Struct

from app.base.secret import Secret

_ALGORITHM = "AWS4-HMAC-SHA256"
_PORTS = {"http": 80, "https": 443}
_SPACES = re.compile(r" +")

_UNSIGNED = frozenset(
    {"authorization", "connection", "expect", "transfer-encoding", "user-agent", "x-amzn-trace-id", "accept-encoding"}
)
"""Headers that something on the way may change."""


class Key(Struct, frozen=True, kw_only=True):
    access_key_id: Secret
    secret_access_key: Secret
    session_token: Secret | None = None


def sign(
    headers: MutableMapping[str, str],
    key: Key,
    *,
    method: str,
    url: str,
    content: bytes,
    region: str,
    service: str,
    moment: datetime,
) -> None:
    """Adds `X-Amz-Date`, `X-Amz-Security-Token` where there is one, and `Authorization`.

    `url` must be what goes out, to the letter: its path is signed as it is written, and escaped once more, as every
    service but S3 wants it. All headers that are there are signed; `Host` is taken from the address. `moment` in UTC.
    """
    stamp = moment.strftime("%Y%m%dT%H%M%SZ")
    headers["X-Amz-Date"] = stamp
    if key.session_token is not None:
        headers["X-Amz-Security-Token"] = key.session_token.reveal()
    signed = _signed_headers(headers, url)
    names = ";".join(signed)
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    canonical = canonical_request(method, url, signed, content)
    text = "\n".join((_ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    signature = _signature(key.secret_access_key, stamp[:8], region, service, text)
    headers["Authorization"] = (
        f"{_ALGORITHM} Credential={key.access_key_id.reveal()}/{scope}, SignedHeaders={names}, Signature={signature}"
    )


def canonical_request(method: str, url: str, signed: Mapping[str, str], content: bytes) -> str:
    """`signed`: names in lower case, in their order, with values made canonical."""
    parts = urlsplit(url)
    return "\n".join(
        (
            method.upper(),
            _path(parts.path),
            _query(parts.query),
            *(f"{name}:{value}" for name, value in signed.items()),
            "",
            ";".join(signed),
            hashlib.sha256(content).hexdigest(),
        )
    )


def _path(path: str) -> str:
    """Without empty and dot segments (RFC 3986), each octet escaped that is not unreserved, `%` too."""
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in ("", "."):
            segments.append(quote(segment, safe="-._~"))
    ends = "/" if segments and path.endswith(("/", "/.", "/..")) else ""
    return f"/{'/'.join(segments)}{ends}"


def _query(query: str) -> str:
    pairs = [pair.partition("=")[::2] for pair in query.split("&") if pair]
    return "&".join(
        f"{name}={value}" for name, value in sorted((_escaped(name), _escaped(value)) for name, value in pairs)
    )


def _escaped(text: str) -> str:
    return quote(unquote(text, errors="surrogateescape"), safe="-._~", errors="surrogateescape")


def _signed_headers(headers: Mapping[str, str], url: str) -> dict[str, str]:
    given = {name.lower(): value for name, value in headers.items() if name.lower() not in _UNSIGNED}
    given.setdefault("host", _host(url))
    return {name: _SPACES.sub(" ", given[name]).strip() for name in sorted(given)}


def _host(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return host if parts.port in (None, _PORTS.get(parts.scheme)) else f"{host}:{parts.port}"


def _signature(secret: Secret, day: str, region: str, service: str, text: str) -> str:
    key = f"AWS4{secret.reveal()}".encode()
    for step in (day, region, service, "aws4_request"):
        key = hmac.digest(key, step.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()
