"""Names of one model: which names of a price list stand for the name that a deployment has at its provider.

A price list has a model once; providers take it under more names: with the date of a version, with the region that it
is served from, with a folder in front.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

EVERY_MODEL = "*"
"""A price list's name for whatever else a provider has: what runs on one's own machine is free, whatever it is."""

_DATE = re.compile(r"[-@](20\d{2}-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])|2\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01]))$")
"""`-20250929`, `-2025-09-29`, `@20250929`, and Volcengine's `-250929`."""
_LATEST = "-latest"
_VERSION = re.compile(r"(-v\d+)?:\d+$|-v\d+$")
"""Of Amazon's names: `-v1:0`, `:0`."""
_REGION = re.compile(r"^(us-gov|us|eu|apac|jp|au|ca|in|sa|global)\.(?=.*\.)")
"""Of Amazon's inference profiles: https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html"""


def names(kind: str, upstream_model: str) -> list[str]:
    """What a deployment's model may be called in a price list, the closest first, its own name at the head.

    A profile of Amazon's by its ARN has none: the ARN does not say which model it leads to.
    """
    if kind == "bedrock" and upstream_model.startswith("arn:"):
        return []
    return [*dict.fromkeys(_names(kind, upstream_model)), EVERY_MODEL]


def _names(kind: str, name: str) -> Iterator[str]:
    yield name
    if kind == "google":
        name = name.removeprefix("models/")
    if kind == "poe":
        # Poe does not mind the case; lists write the company in front.
        name = name.rpartition("/")[2].lower()
    yield name
    if kind != "bedrock":
        yield from _undated(name)
        return
    region = _REGION.match(name)
    bare = name[region.end() :] if region else name
    # What is served from one region costs the same in each, and more than what is served from anywhere.
    for prefix in dict.fromkeys((region[0] if region else "", "", "us.")):
        yield prefix + bare
        yield _VERSION.sub("", prefix + bare)
        yield from _undated(_VERSION.sub("", prefix + bare))


def _undated(name: str) -> Iterator[str]:
    if name.endswith(_LATEST):
        yield name.removesuffix(_LATEST)
    undated = _DATE.sub("", name)
    if undated != name:
        yield undated
        yield undated + _LATEST
