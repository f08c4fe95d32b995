"""How a credential goes into the headers of a request, one plain function per way.

A credential is its parts by name; the one that the functions here need is called `secret`.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.adapters.providers.kinds import Headers, ToSign
from app.base.secret import Secret


def bearer(headers: Headers, parts: Mapping[str, Secret], _request: ToSign) -> None:
    """`Authorization: Bearer …` (RFC 6750); nothing where the credential is empty, as with a local server."""
    if (secret := parts.get("secret")) is not None and secret.reveal():
        headers["Authorization"] = f"Bearer {secret.reveal()}"


def bearer_api_key(headers: Headers, parts: Mapping[str, Secret], _request: ToSign) -> None:
    """A Bedrock API key is sent as a bearer token.

    https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys-use.html
    """
    if (api_key := parts.get("api_key")) is not None:
        headers["Authorization"] = f"Bearer {api_key.reveal()}"


def x_api_key(headers: Headers, parts: Mapping[str, Secret], _request: ToSign) -> None:
    """Anthropic's header. https://docs.anthropic.com/en/api/overview#authentication"""
    headers["x-api-key"] = parts["secret"].reveal()


def x_goog_api_key(headers: Headers, parts: Mapping[str, Secret], _request: ToSign) -> None:
    """Gemini's header, which unlike `?key=` is written into no access log.

    https://ai.google.dev/gemini-api/docs/api-key
    """
    headers["x-goog-api-key"] = parts["secret"].reveal()


def unsigned(_headers: Headers, _parts: Mapping[str, Secret], _request: ToSign) -> None:
    """For what asks for no credential at all."""
