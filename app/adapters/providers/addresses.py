"""Where a request goes: a provider's base URL and a path, joined."""

from __future__ import annotations

from app.adapters.providers.kinds import Kind
from app.base.errors import BadValue


def endpoint_url(kind: Kind, base_url: str | None, path: str) -> str:
    """The address of `path` at a provider of this kind; `base_url` None is the kind's own.

    A base is taken as it is given, with or without a slash at its end. Two kinds have more than one base of which
    people know the other: Ollama's own tools want the address without the `/v1` of its OpenAI-compatible part, and
    DeepSeek's `/v1` and `/beta` stand beside each other.

    Raises:
        BadValue: there is no base URL, neither given nor in the kind's row.
    """
    base = (base_url or kind.base_url or "").rstrip("/")
    if not base:
        raise BadValue(f"A provider of kind {kind.name} needs a base_url.")
    if kind.name == "ollama" and not base.endswith("/v1"):
        base = f"{base.removesuffix('/api')}/v1"
    if kind.name == "deepseek" and path.startswith("/beta/"):
        base = base.removesuffix("/v1").removesuffix("/beta")
    if path.startswith("../"):
        return f"{base.rpartition('/')[0]}{path[2:]}"
    return f"{base}/{path.lstrip('/')}"
