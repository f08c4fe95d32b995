"""Which deployment and credential a call goes to, and which come next when one fails.

Priority first, then weight, by smooth weighted round-robin: of weights 3 and 1 the order is A A B A, not A A A B.
Within a provider the credentials rotate the same way. What rests (see `health.py`) is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import TypeVar

from msgspec import Struct

from app.base.errors import NoRoute, NotServed, ProviderError, ProviderLimited
from app.domain.catalog.serving import CallableModel, Route, UsableCredential
from app.gateway.formats import upstream_endpoint
from app.gateway.health import Health
from app.wire.endpoint import Endpoint

_MAX_MEMORY = 50_000

_Weighted = TypeVar("_Weighted", Route, UsableCredential)


class Candidate(Struct, frozen=True):
    route: Route
    credential: UsableCredential


class Router:
    """Remembers whose turn it is. One per process."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._turns: dict[str, int] = {}
        """What each id has gathered since it was last chosen."""

    def candidates(self, model: CallableModel, endpoint: Endpoint, preferred: str | None = None) -> Iterator[Candidate]:
        """All that may be tried now, best first; the next one is worked out only when it is asked for.

        The credential `preferred`, where it may be used, goes before those of the same priority.
        """
        routes = [route for route in model.routes if _serves(route, endpoint)]
        groups = [routes] if len(routes) == 1 else [list(g) for _, g in groupby(routes, key=lambda r: r.priority)]
        for group in groups:
            for route in _first(self._in_turn(group), preferred, _has_credential):
                for credential in _first(self._in_turn(self._usable(route)), preferred, _is_credential):
                    # Again: it may have begun to rest while another was tried.
                    if self._may_try(credential, route):
                        yield Candidate(route, credential)

    def why_none(self, model: CallableModel, endpoint: Endpoint) -> ProviderError:
        """The error for a call for which `candidates` had nobody."""
        routes = [route for route in model.routes if _serves(route, endpoint)]
        if model.routes and not routes:
            names = ", ".join(sorted({route.source.kind.title for route in model.routes}))
            return NotServed(f"{names} does not offer {endpoint.name} for {model.name} through this hub.")
        pairs = [(route, credential) for route in routes for credential in route.source.credentials]
        if not pairs:
            return NoRoute(
                f"No provider is set up to serve {model.name} at the moment. The hub's administrator can see why "
                "with `hub doctor`."
            )
        seconds = min(self._health.rests_for(credential.id, route.upstream_model) for route, credential in pairs)
        retry_after = max(1, int(seconds) + 1)
        if any(self._health.is_limited(credential.id, route.upstream_model) for route, credential in pairs):
            return ProviderLimited(
                f"{model.name} is rate limited at its provider. Try again in {retry_after} s.",
                retry_after_seconds=retry_after,
            )
        error = NoRoute(f"{model.name} is failing at its provider. Try again in {retry_after} s.")
        error.retry_after_seconds = retry_after
        return error

    def _usable(self, route: Route) -> Sequence[UsableCredential]:
        own = route.source.credentials
        return own if len(own) == 1 else [credential for credential in own if self._may_try(credential, route)]

    def _may_try(self, credential: UsableCredential, route: Route) -> bool:
        return self._health.rests_for(credential.id, route.upstream_model) <= 0

    def _in_turn(self, items: Sequence[_Weighted]) -> Iterator[_Weighted]:
        """The one whose turn it is, then the others by what they have gathered."""
        if len(items) <= 1:
            yield from items
            return
        weighted = [item for item in items if item.weight > 0] or list(items)
        turns = self._turns
        if len(turns) > _MAX_MEMORY:
            turns.clear()
        for item in weighted:
            turns[item.id] = turns.get(item.id, 0) + item.weight
        ranked = sorted(weighted, key=lambda item: -turns[item.id])
        turns[ranked[0].id] -= sum(item.weight for item in weighted)
        yield from ranked


def _serves(route: Route, endpoint: Endpoint) -> bool:
    return upstream_endpoint(route.source.kind, endpoint, route.upstream_model) is not None


def _first(
    items: Iterator[_Weighted], preferred: str | None, is_wanted: Callable[[_Weighted, str], bool]
) -> Iterator[_Weighted]:
    """The wanted ones before the others."""
    if preferred is None:
        return items
    return iter(sorted(items, key=lambda item: not is_wanted(item, preferred)))


def _has_credential(route: Route, id_: str) -> bool:
    return any(credential.id == id_ for credential in route.source.credentials)


def _is_credential(credential: UsableCredential, id_: str) -> bool:
    return credential.id == id_
