"""What the row of a key may say it is for: models, tasks, networks. Read from people, stored in one spelling."""

from __future__ import annotations

from collections.abc import Sequence

from app.base import addresses
from app.base.errors import BadValue

TASKS = ("conversation", "embedding", "image", "video", "speech", "transcription", "moderation")
"""What a key may be used for; every endpoint that is called belongs to one."""

_MAX_LISTED = 100


def check_models(models: Sequence[str]) -> list[str]:
    """The globs, if a key can have them.

    Raises:
        BadValue: none, or one that no model name can match.
    """
    if not models:
        raise BadValue('models must name at least one model; ["*"] is all of them.', param="models")
    return _globs(models, "models")


def check_denied_models(models: Sequence[str]) -> list[str]:
    """The same for those that it may not call all the same; there may be none.

    Raises:
        BadValue
    """
    return _globs(models, "denied_models")


def check_endpoints(endpoints: Sequence[str]) -> list[str]:
    """The tasks, each once and in the order of `TASKS`; empty is all of them.

    Raises:
        BadValue: one of them is none.
    """
    for task in endpoints:
        if task not in TASKS:
            raise BadValue(f'"{task[:80]}" is no endpoint. It must be one of {", ".join(TASKS)}.', param="endpoints")
    return [task for task in TASKS if task in endpoints]


def check_addresses(networks: Sequence[str]) -> list[str]:
    """The networks in their usual spelling, each once; empty is everywhere.

    Raises:
        BadValue: one of them is none, or there are too many.
    """
    _check_number(networks, "addresses")
    try:
        return list(dict.fromkeys(str(addresses.network(text)) for text in networks))
    except BadValue as refusal:
        raise BadValue(refusal.sentence, param="addresses") from None


def _globs(models: Sequence[str], param: str) -> list[str]:
    _check_number(models, param)
    for pattern in models:
        if not 1 <= len(pattern) <= 200 or not pattern.isprintable() or " " in pattern:
            raise BadValue(
                "A pattern of models has 1 to 200 characters and no spaces, such as openai/*.",
                param=param,
            )
    return list(models)


def _check_number(listed: Sequence[str], param: str) -> None:
    if len(listed) > _MAX_LISTED:
        raise BadValue(f"{param} has at most {_MAX_LISTED} entries.", param=param)
