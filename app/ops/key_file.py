"""The keys of a team in `hub.yaml`: what each may do, read, compared and written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from app.domain.identity import key_rights, users
from app.ops import file_values
from app.ops.changes import FieldChange, field, moment_text, yes
from app.ops.file_values import checked
from app.ops.hub_state import KeyState
from app.ops.marked_yaml import Entry, Fields
from app.ops.steps import KeyTerms

FIELDS = (
    "name",
    "secret",
    "models",
    "denied_models",
    "endpoints",
    "networks",
    "expires",
    "strict",
    "enabled",
    "user",
)


def read_terms(fields: Fields) -> KeyTerms:
    """What the key of these fields may do; where the file says nothing, everything."""
    models, expires, strict = fields.get("models"), fields.get("expires"), fields.get("strict")
    enabled, user = fields.get("enabled"), fields.get("user")
    return KeyTerms(
        models=["*"] if models is None else _texts(models, key_rights.check_models),
        denied_models=_texts(fields.get("denied_models"), key_rights.check_denied_models),
        endpoints=_texts(fields.get("endpoints"), key_rights.check_endpoints),
        networks=_texts(fields.get("networks"), key_rights.check_addresses),
        expires_at=None if expires is None else file_values.moment(expires),
        is_strict=False if strict is None else strict.boolean(),
        is_enabled=True if enabled is None else enabled.boolean(),
        user=None if user is None else checked(user, users.check_address),
    )


def changes(old: KeyState | None, terms: KeyTerms) -> list[FieldChange]:
    """The fields, as they are and as they shall be."""
    return [
        field("models", old and " ".join(old.models), " ".join(terms.models)),
        field("denied models", old and " ".join(old.denied_models), " ".join(terms.denied_models)),
        field("endpoints", old and " ".join(old.endpoints), " ".join(terms.endpoints)),
        field("networks", old and " ".join(old.networks), " ".join(terms.networks)),
        field("expires", moment_text(old.expires_at if old else None), moment_text(terms.expires_at)),
        field("strict", yes(old is not None and old.is_strict), yes(terms.is_strict)),
        field("enabled", yes(old is None or old.is_enabled), yes(terms.is_enabled)),
        field("user", old and old.user, terms.user),
    ]


def exported(name: str, key: KeyState, placeholder: str) -> dict[str, object]:
    """As the file has it; what it means by leaving a field out is left out."""
    listed: Mapping[str, list[str]] = {
        "denied_models": key.denied_models,
        "endpoints": key.endpoints,
        "networks": key.networks,
    }
    return {
        "name": name,
        "secret": placeholder,
        "models": key.models,
        **{field: texts for field, texts in listed.items() if texts},
        **({} if key.expires_at is None else {"expires": _expires(key.expires_at)}),
        **({"strict": True} if key.is_strict else {}),
        **({} if key.is_enabled else {"enabled": False}),
        **({} if key.user is None else {"user": key.user}),
    }


def _texts(entry: Entry | None, check: Callable[[list[str]], list[str]]) -> list[str]:
    """The texts of a list as `check` gives them; of one that is not there, none."""
    if entry is None:
        return []
    texts = [item.text() for item in entry.items()]
    if entry.kind != "seq" or any(item.kind != "str" for item in entry.items()):
        return texts
    return file_values.tried(entry, lambda: check(texts)) or []


def _expires(moment: datetime) -> str:
    """The last day on which the key works, or the moment where it does not end with a day."""
    last = moment - timedelta(days=1)
    if (moment.hour, moment.minute, moment.second, moment.microsecond) == (0, 0, 0, 0):
        return last.date().isoformat()
    return moment.isoformat().replace("+00:00", "Z")
