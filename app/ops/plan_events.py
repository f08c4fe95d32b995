"""What the audit trail is told of a plan that was carried out: one event per change of it."""

from __future__ import annotations

from collections.abc import Mapping

from app.domain.identity import audit_masking
from app.ops import steps
from app.ops.changes import Change
from app.ops.trail import Deed

_ACTIONS = {
    ("hub", "change"): "settings.set",
    ("setting", "change"): "settings.set",
    ("key", "add"): "key.create",
    ("team", "add"): "team.create",
    ("budget", "add"): "budget.create",
    ("budget", "remove"): "budget.end",
    ("limit", "add"): "limit.create",
    ("limit", "remove"): "limit.end",
    ("credits", "change"): "credits.grant",
}
"""Where a command of its own does the same. Elsewhere it is what the plan says: `provider.add`, `route.change`, …"""
_KINDS = {"hub": "setting", "credits": "team"}


def tell(deed: Deed, change: Change, made: str, team_ids: Mapping[str, str]) -> None:
    """`made` is the id of what the change has added; empty where it added nothing that has one."""
    team_id = _team_id(change, team_ids)
    kind = _KINDS.get(change.what, change.what)
    object_id = made or (team_id if kind == "team" else None) or _id(change) or change.name
    deed.tell(
        _ACTIONS.get((change.what, change.action), f"{change.what}.{change.action}"),
        kind,
        object_id,
        change.name,
        team_id=team_id,
        before=_said(change, is_old=True) if change.action != "add" else None,
        after=_said(change, is_old=False) if change.action != "remove" else None,
    )


def _said(change: Change, *, is_old: bool) -> dict[str, str | None]:
    """Of a secret the plan knows only that it is another one; that is told once."""
    said: dict[str, str | None] = {}
    for field in change.fields:
        name = change.name if change.what in ("hub", "setting") else field.field
        if field.old is not None or field.new is not None:
            said[name] = field.old if is_old else field.new
        elif not is_old:
            said[name] = audit_masking.MASK
    return said


def _id(change: Change) -> str:
    return next((id_ for step in change.steps if (id_ := getattr(step, "id", ""))), "")


def _team_id(change: Change, team_ids: Mapping[str, str]) -> str | None:
    for step in change.steps:
        match step:
            case steps.AddTeam(name):
                return team_ids.get(name)
            case steps.SetRetention(id_) | steps.RemoveTeam(id_):
                return id_
            case (
                steps.ChangeKey(team_id)
                | steps.ReplaceKeySecret(team_id)
                | steps.RemoveKey(team_id)
                | steps.RemoveMember(team_id)
            ):
                return team_id
            case steps.SetTeamMarkup(team) | steps.SetMember(team) | steps.Grant(team) | steps.AddKey(team):
                return team_ids.get(team)
            case _:
                continue
    return None
