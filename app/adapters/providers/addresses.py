"""Where a request goes: a provider's base URL and a path, joined."""

from __future__ import annotations

from urllib.parse import quote

from app.adapters.providers.kinds import Kind
from app.base.errors import BadValue

_IN_A_SEGMENT = "-._~!$&'()*+,;=:@"
_UNRESERVED = "-._~"
_OF_CALLS, _OF_LISTS = "://bedrock-runtime", "://bedrock"


def call_url(kind: Kind, base_url: str | None, path: str, *, model: str, region: str | None) -> str:
    """The address of a model call: `{model}` and `{region}` filled in, the model as one segment of a path.

    Raises:
        BadValue: there is no base URL, or it needs a region that the provider does not have.
    """
    if "{model}" in path:
        # Amazon signs what its own libraries send, and they escape the colons and slashes of a model's id.
        path = path.replace("{model}", quote(model, safe=_UNRESERVED if kind.wire == "bedrock" else _IN_A_SEGMENT))
    base = base_url or kind.base_url
    if base is not None and "{region}" in base:
        if not region:
            raise BadValue(f"{kind.title} needs a region.")
        base = base.replace("{region}", region)
    return endpoint_url(kind, base, path)


def lists_url(kind: Kind, base_url: str | None) -> str | None:
    """The base of a provider's lists; None: the kind's own.

    Amazon has them on a host beside that of the calls; another server in front of it is asked for both.
    """
    if kind.lists_url is None:
        return base_url
    return kind.lists_url if base_url is None else base_url.replace(_OF_CALLS, _OF_LISTS, 1)


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
    if kind.wire != "openai":
        # Bases are given with and without the version that begins every path.
        version = path.split("/", 2)[1]
        base = base.removesuffix(f"/{version}")
    if path.startswith("../"):
        return f"{base.rpartition('/')[0]}{path[2:]}"
    return f"{base}/{path.lstrip('/')}"
