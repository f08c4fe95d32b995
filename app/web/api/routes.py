"""What programs can ask for: model calls by path, and what is not a call. Each path speaks one format.

A call's row names its endpoint and who reads and writes for it; a resource's row names a handler. A new format adds its
rows here and nowhere else in the doors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

from app.web.api import models
from app.web.api.visit import Handler
from app.wire.endpoint import Endpoint
from app.wire.faces import Speaker
from app.wire.openai import client as openai
from app.wire.openai import endpoints as openai_endpoints


class CallRoute(Struct, frozen=True):
    endpoint: Endpoint
    speaker: Speaker


class PatternRoute(Struct, frozen=True):
    """A call whose path holds the model. Groups of the pattern become `Visit.variables`."""

    pattern: re.Pattern[str]
    endpoint: Endpoint
    speaker: Speaker


class Resource(Struct, frozen=True):
    """Something that is read or removed rather than called. Groups of the pattern become `Visit.variables`."""

    pattern: re.Pattern[str]
    handlers: Mapping[str, Handler]
    """By method; HEAD goes to GET's."""
    speaker: Speaker


ROOTS = ("/v1",)
"""What begins with one of these goes to the door for programs."""

CALLS: Mapping[str, CallRoute] = {
    f"/v1{endpoint.path}": CallRoute(endpoint, openai) for endpoint in openai_endpoints.ENDPOINTS
}

CALL_PATTERNS: tuple[PatternRoute, ...] = ()

RESOURCES: tuple[Resource, ...] = (
    Resource(re.compile(r"/v1/models(?:/(?P<name>.+))?"), {"GET": models.answer}, openai),
)


def speaker_of(path: str) -> Speaker:
    """Who says errors about a path at which there is nothing."""
    return openai
