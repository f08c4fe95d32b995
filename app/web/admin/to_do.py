"""What there is to do: everything that keeps calls from being answered, and a first call to try."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence

from msgspec import Struct

from app.base import clock
from app.gateway.snapshot import Snapshot
from app.web.admin.standing import CredentialRow, ProviderRow, Tone, is_valid, model_row


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


def listed(providers: Sequence[ProviderRow], snapshot: Snapshot) -> list[ToDo]:
    """The worst first; empty when there is nothing to do."""
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


def _of_credential(provider: ProviderRow, credential: CredentialRow, reason: str) -> ToDo:
    if credential.state == "unreadable":
        title, command = f"{provider.name}: the credential {credential.label} cannot be opened", "hub doctor"
    else:
        title = f"{provider.name}: the credential {credential.label} is disabled"
        command = f"hub provider check {provider.name} --enable"
    return ToDo(tone="bad", title=title, text=reason, command=command)
