"""Providers that this machine already has the means for: keys in the environment, and an Ollama that runs here."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from app.adapters.providers.kinds import Kind
from app.adapters.providers.registry import KINDS
from app.base.secret import Secret
from app.ops import local_answer

OLLAMA_ADDRESS = ("127.0.0.1", 11434)
"""https://docs.ollama.com/faq: where it listens unless OLLAMA_HOST says otherwise."""

_PROBE_SECONDS = 0.3

# What Amazon's tools call the parts of a credential.
_BEDROCK_PARTS = {
    "access_key_id": "AWS_ACCESS_KEY_ID",
    "secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "session_token": "AWS_SESSION_TOKEN",
}
_BEDROCK_API_KEY = "AWS_BEARER_TOKEN_BEDROCK"


class Found(Struct, frozen=True, kw_only=True):
    """A provider that could be added as it is."""

    kind: Kind
    parts: Mapping[str, Secret]
    source: str
    """Where it was found, for people: the name of a variable or an address."""
    region: str | None = None

    @property
    def name(self) -> str:
        return self.kind.name


async def find(environ: Mapping[str, str], *, ollama_address: tuple[str, int] | None = OLLAMA_ADDRESS) -> list[Found]:
    """Everything that could be added, in the order of the registry. Takes at most 0.3 seconds."""
    found = [one for kind in KINDS.values() if (one := _in_environment(kind, environ)) is not None]
    if ollama_address is not None and await is_ollama(*ollama_address):
        parts = {"secret": Secret(environ["OLLAMA_API_KEY"])} if environ.get("OLLAMA_API_KEY") else {}
        source = f"Ollama on {ollama_address[0]}:{ollama_address[1]}"
        found.append(Found(kind=KINDS["ollama"], parts=parts, source=source))
    order = list(KINDS)
    return sorted(found, key=lambda one: order.index(one.name))


def _in_environment(kind: Kind, environ: Mapping[str, str]) -> Found | None:
    if kind.is_local():
        # A key for Ollama's cloud says nothing about a server that runs here.
        return None
    if kind.name == "bedrock":
        return _bedrock(kind, environ)
    for name in kind.environment:
        if text := environ.get(name, "").strip():
            return Found(kind=kind, parts={kind.secret_parts[0]: Secret(text)}, source=name)
    return None


def _bedrock(kind: Kind, environ: Mapping[str, str]) -> Found | None:
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    if api_key := environ.get(_BEDROCK_API_KEY, "").strip():
        return Found(kind=kind, parts={"api_key": Secret(api_key)}, source=_BEDROCK_API_KEY, region=region)
    parts = {part: Secret(text) for part, name in _BEDROCK_PARTS.items() if (text := environ.get(name, "").strip())}
    if "access_key_id" not in parts or "secret_access_key" not in parts:
        return None
    return Found(kind=kind, parts=parts, source="AWS_ACCESS_KEY_ID", region=region)


async def is_ollama(host: str, port: int) -> bool:
    """Whether an Ollama answers there at once."""
    return b'"version"' in await local_answer.of(host, port, "/api/version", _PROBE_SECONDS)
