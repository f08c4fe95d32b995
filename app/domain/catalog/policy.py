"""The charging policy: what a call is charged by how it ended and whether anything was delivered.

    completed     the provider said that this was all          out_of_credit  the hub ended it, the credits were spent
    empty         … and there was nothing in it                client_gone    the client left
    refused       the model declined                           failed         the provider broke off or refused
    killed        the hub's process ended                      stopped        its own deadline, or the hub restarts

An owner may change what a row does; the row that applied stands on the call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec.structs import replace

from app.base.errors import BadValue
from app.base.usage import Usage

Action = Literal["charge", "input_only", "free"]
ACTIONS: tuple[Action, ...] = ("charge", "input_only", "free")
Ended = Literal["completed", "empty", "refused", "out_of_credit", "client_gone", "failed", "stopped", "killed"]

Policy = Mapping[str, Action]
"""Row → what is charged."""

DEFAULTS: Policy = {
    "completed.some": "charge",
    "completed.none": "charge",
    "empty.none": "free",
    "refused.some": "charge",
    "refused.none": "charge",
    "out_of_credit.some": "charge",
    "out_of_credit.none": "charge",
    "client_gone.some": "charge",
    "client_gone.none": "charge",
    "failed.some": "charge",
    "failed.none": "free",
    "stopped.some": "charge",
    "stopped.none": "free",
    "killed.some": "charge",
    "killed.none": "free",
}
"""Row → what is charged: all that was consumed, what went in alone, nothing. What was not consumed costs nothing in any
row: a client that leaves before its provider is asked pays nothing, one that leaves behind a whole answer pays it."""

_REFUSALS = frozenset({"content_filter", "refusal", "SAFETY", "PROHIBITED_CONTENT", "guardrail_intervened"})
"""The formats' words for an answer that the model declined to give."""


_TOO_LONG = frozenset({"length", "max_tokens", "MAX_TOKENS", "max_output_tokens"})
"""And for one that met its bound."""


class Outcome(msgspec.Struct, frozen=True):
    """The row that applied to a call, and what it does."""

    row: str
    action: Action

    @property
    def said(self) -> str:
        """As it stands on the call."""
        return f"{self.row} {self.action}"


def read(text: str) -> Policy:
    """The whole policy, from what an owner changed: see `read_changes`."""
    return {**DEFAULTS, **read_changes(text)}


def read_changes(text: str) -> Policy:
    """What an owner changed: `row=action` pairs with commas between; the other rows stay as they are.

    Raises:
        BadValue: an unknown row or action.
    """
    changed: dict[str, Action] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        row, _, action = pair.partition("=")
        if row not in DEFAULTS:
            raise BadValue(f'"{row}" is no row of the charging policy: {", ".join(DEFAULTS)}.', param="charging_policy")
        if action not in ACTIONS:
            raise BadValue(f"{row} can be charge, input_only or free.", param="charging_policy")
        changed[row] = action
    return changed


def show_changes(changed: Policy) -> str:
    """The one text of what an owner changed."""
    return ", ".join(f"{row}={changed[row]}" for row in DEFAULTS if row in changed and changed[row] != DEFAULTS[row])


def outcome(policy: Policy, ended: Ended, *, is_something_delivered: bool) -> Outcome:
    row = f"{ended}.{'some' if is_something_delivered and ended != 'empty' else 'none'}"
    return Outcome(row, policy[row])


def is_refusal(finish_reason: str | None) -> bool:
    return finish_reason in _REFUSALS


def is_too_long(finish_reason: str | None) -> bool:
    return finish_reason in _TOO_LONG


def charged(usage: Usage, action: Action) -> Usage | None:
    """What of a usage is charged; None for nothing."""
    match action:
        case "charge":
            return usage
        case "input_only":
            return replace(usage, output=0, reasoning=0, audio_out=0, images=0, seconds=0)
        case "free":
            return None
