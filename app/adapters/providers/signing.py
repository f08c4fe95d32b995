"""How a credential goes into the headers of a request, one plain function per way.

A credential is its parts by name; the one that the functions here need is called `secret`.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.adapters.providers import sigv4
from app.adapters.providers.kinds import Headers, ToSign
from app.base import clock
from app.base.errors import BadValue
from app.base.secret import Secret


def bearer(headers: Headers, parts: Mapping[str, Secret], _request: ToSign) -> None:
    """`Authorization: Bearer …` (RFC 6750); nothing where the credential is empty, as with a local server."""
    if (secret := parts.get("secret")) is not None and secret.reveal():
        headers["Authorization"] = f"Bearer {secret.reveal()}"


def bedrock(headers: Headers, parts: Mapping[str, Secret], request: ToSign) -> None:
    """A Bedrock API key as a bearer token, or a signature by an access key.

    https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys-use.html

    Raises:
        BadValue: an access key, and the provider has no region.
    """
    if (api_key := parts.get("api_key")) is not None:
        headers["Authorization"] = f"Bearer {api_key.reveal()}"
        return
    if not request.region:
        raise BadValue("Amazon Bedrock needs a region.")
    key = sigv4.Key(
        access_key_id=parts["access_key_id"],
        secret_access_key=parts["secret_access_key"],
        session_token=parts.get("session_token"),
    )
    sigv4.sign(
        headers,
        key,
        method=request.method,
        url=request.url,
        content=request.content,
        region=request.region,
        service="bedrock",
        moment=clock.now(),
    )


def x_api_key(headers: Headers, parts: Mapping[str, Secret], _request: ToSign) -> None:
    """Anthropic's header. https://docs.anthropic.com/en/api/overview#authentication"""
    headers["x-api-key"] = parts["secret"].reveal()


def api_key(headers: Headers, parts: Mapping[str, Secret], _request: ToSign) -> None:
    """Ideogram's header. https://developer.ideogram.ai/ideogram-api/api-setup"""
    headers["Api-Key"] = parts["secret"].reveal()


def x_goog_api_key(headers: Headers, parts: Mapping[str, Secret], _request: ToSign) -> None:
    """Gemini's header, which unlike `?key=` is written into no access log.

    https://ai.google.dev/gemini-api/docs/api-key
    """
    headers["x-goog-api-key"] = parts["secret"].reveal()


def unsigned(_headers: Headers, _parts: Mapping[str, Secret], _request: ToSign) -> None:
    """For what asks for no credential at all."""
