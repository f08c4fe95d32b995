"""What there is to do: everything that keeps calls from being answered, and a first call to try."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence

from msgspec import Struct

from app.base import clock
from app.domain.billing import budget_words
from app.gateway.desk.budgeting import Standing
from app.gateway.desk.price_checks import Fault
from app.gateway.snapshot import Snapshot
from app.web.admin.standing import CredentialRow, ProviderRow, Tone, is_valid, model_row

_BUDGETS_SHOWN = 5
_FAULTS_SHOWN = 5
_BUDGETS = "hub budget list"
_FAULTS = {
    "unpriced": "has no price",
    "below_cost": "is priced below cost",
    "drift": "is charged otherwise by its provider than its rates say",
}


class ToDo(Struct, frozen=True, kw_only=True):
    tone: Tone
    title: str
    text: str
    command: str
    """What to type."""


class FirstCall(Struct, frozen=True, kw_only=True):
    model: str
    is_demo: bool
    curl: str


def listed(
    providers: Sequence[ProviderRow],
    snapshot: Snapshot,
    budgets: Sequence[tuple[str, Standing]],
    faults: Sequence[Fault],
) -> list[ToDo]:
    """The worst first; empty when there is nothing to do. `budgets` are those in force, with what each is of; `faults`
    are of prices."""
    found: list[ToDo] = []
    for provider in providers:
        found += _of_provider(provider)
    if all(provider.is_demo for provider in providers):
        found.append(
            ToDo(
                tone="warn",
                title="There is no provider yet",
                text="The built-in demo answers with made-up text until you add one: from a key in your environment "
                "with this command, or from a hub file.",
                command="hub provider adopt openai",
            )
        )
    now = clock.now()
    if not any(is_valid(caller.expires_at, now) for caller in snapshot.callers.values()):
        found.append(
            ToDo(
                tone="warn",
                title="No program can call the hub",
                text="No API key is valid now. A key is shown once, when it is made.",
                command="hub key create --team default --name my-app",
            )
        )
    over = [(of, one) for of, one in budgets if one.is_over_last_level or one.blocks]
    # The fullest first: with many budgets the rest are for the list.
    over.sort(key=lambda budget: -budget[1].percent)
    found += [_of_budget(of, one) for of, one in over[:_BUDGETS_SHOWN]]
    found += _of_prices(faults)
    return sorted(found, key=lambda one: one.tone != "bad")


def first_call(snapshot: Snapshot, address: str) -> FirstCall | None:
    """A call to paste, for a chat model that can be called; a real one before the demo. None when there is none."""
    chats = [model for model in snapshot.catalogue() if model.type == "chat" and model_row(model).badge is None]
    if not chats:
        return None
    model = min(chats, key=lambda model: model.is_demo)
    body = {"model": model.name, "stream": True, "messages": [{"role": "user", "content": "Hello! What can you do?"}]}
    curl = (
        f'curl -N {address}/v1/chat/completions \\\n  -H "Authorization: Bearer $API_KEY" \\\n'
        f'  -H "Content-Type: application/json" \\\n  -d {shlex.quote(json.dumps(body))}'
    )
    return FirstCall(model=model.name, is_demo=model.is_demo, curl=curl)


def _of_provider(provider: ProviderRow) -> Iterator[ToDo]:
    match provider.state:
        case "off":
            return
        case "no_credential":
            yield ToDo(
                tone="bad",
                title=f"{provider.name} has no credential",
                text="Without one it takes no calls. Add one to your hub file and apply it.",
                command="hub apply hub.yaml",
            )
        case "unknown_kind":
            yield ToDo(
                tone="bad",
                title=f"{provider.name} has the unknown kind {provider.kind}",
                text="Another version of the hub added it. Start that version, or take the provider out of your file.",
                command="hub apply hub.yaml --prune",
            )
        case _:
            pass
    for credential in provider.credentials:
        if credential.reason is not None:
            yield _of_credential(provider, credential, credential.reason)


def _of_budget(of: str, one: Standing) -> ToDo:
    rule, until = one.rule, budget_words.ends(one.room.ends_us, one.rule.timezone)
    spent, amount = budget_words.amount_text(rule.unit, one.spend.spent), budget_words.amount(rule.unit, rule.amount)
    text = f"{spent} of {amount} spent, {one.percent} %."
    if until is not None:
        text += f" The next {rule.window} begins at {until}."
    if one.blocks:
        return ToDo(
            tone="bad", title=f"The budget of {of} is used up", text=f"{text} Calls are refused.", command=_BUDGETS
        )
    return ToDo(tone="warn", title=f"The budget of {of} is over its last warn level", text=text, command=_BUDGETS)


def _of_prices(faults: Sequence[Fault]) -> Iterator[ToDo]:
    for fault in faults[:_FAULTS_SHOWN]:
        yield ToDo(
            tone="bad" if fault.kind == "unpriced" else "warn",
            title=f"{fault.model} at {fault.provider} {_FAULTS.get(fault.kind, 'has a price to look at')}",
            text=fault.sentence,
            command=fault.command,
        )
    if len(faults) > _FAULTS_SHOWN:
        yield ToDo(
            tone="warn",
            title=f"{len(faults) - _FAULTS_SHOWN} more prices are to be looked at",
            text="The list has them all, each with what mends it.",
            command="hub prices notices",
        )


def _of_credential(provider: ProviderRow, credential: CredentialRow, reason: str) -> ToDo:
    if credential.state == "unreadable":
        title, command = f"{provider.name}: the credential {credential.label} cannot be opened", "hub doctor"
    else:
        title = f"{provider.name}: the credential {credential.label} is disabled"
        command = f"hub provider check {provider.name} --enable"
    return ToDo(tone="bad", title=title, text=reason, command=command)
