"""What the start prints: where the hub is, how to sign in for the first time, and a call that works as pasted."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Sequence

from msgspec import Struct

from app.base.config import Settings
from app.base.secret import Secret
from app.domain.identity import api_keys, links, teams, users
from app.gateway.snapshot import SnapshotKeeper
from app.ops.discovery import Found
from app.ops.house import House

FIRST_TEAM = "default"
FIRST_KEY = "first"


class Greeting(Struct, frozen=True, kw_only=True):
    """What there is to say at a start. It holds a link and perhaps a key, so it is for a person and for no log."""

    address: str
    sign_in: str | None
    """A link that signs the owner in once; None after staff has signed in."""
    model: str | None
    """The chat model that the curl line calls; None when no chat model can be called."""
    is_demo: bool
    """Whether the built-in demo answers, because nobody has added a provider."""
    curl: str | None
    has_key: bool
    """Whether the curl line holds a key. Only that of the very first start does."""


def address(settings: Settings) -> str:
    """Where people reach this hub, without a slash at its end."""
    if settings.public_url:
        return settings.public_url
    return f"http://{_reachable(settings.host)}:{settings.port}{settings.mount_prefix}"


def sign_in_address(settings: Settings, token: Secret) -> str:
    """The link of a one-time token. It is a secret while it is unused."""
    return f"{address(settings)}/sign-in/{token.reveal()}"


async def is_first(hub: House) -> bool:
    """Whether nobody has used this hub in any way: it has no team and so no key."""
    async with hub.db.reading() as session:
        return not await teams.listed(session)


async def greet(hub: House) -> Greeting:
    """Prepare what a start has to say; at the very first one this makes the team, its key and the owner."""
    keeper = SnapshotKeeper(hub.db, hub.vault, lambda: None)
    snapshot = await keeper.load()
    chat = next(
        (
            model
            for model in snapshot.catalogue()
            if model.type == "chat" and any(route.source.kind.paths for route in model.routes)
        ),
        None,
    )
    key: Secret | None = None
    token: Secret | None = None
    async with hub.changing() as deed:
        session = deed.session
        deed.did_nothing()
        if not await teams.listed(session):
            team = await teams.create(session, name=FIRST_TEAM)
            row, key = await api_keys.create(session, hub.pepper, team_id=team.id, name=FIRST_KEY, models=["*"])
            deed.tell("team.create", "team", team.id, team.name, team_id=team.id)
            deed.tell("key.create", "key", row.id, f"{team.name}/{row.name}", team_id=team.id, after={"models": ["*"]})
        if not await users.has_staff_signed_in(session):
            owner = await users.first_owner(session)
            if owner is None:
                owner = await users.ensure(session, users.FIRST_OWNER, "owner")
                deed.tell("user.create", "user", owner.id, owner.email, after={"role": owner.hub_role})
            token = await links.create(session, owner.id)
            after = {"link_valid_seconds": int(links.LIFETIME.total_seconds())}
            deed.tell("user.let_in", "user", owner.id, owner.email, after=after)
    return Greeting(
        address=address(hub.settings),
        sign_in=None if token is None else sign_in_address(hub.settings, token),
        model=None if chat is None else chat.name,
        is_demo=chat is not None and chat.is_demo,
        curl=None if chat is None else _curl(address(hub.settings), chat.name, key),
        has_key=key is not None,
    )


def lines(greeting: Greeting, offers: Sequence[Found], hub_command: str) -> list[str]:
    """The greeting as text for a terminal."""
    text = ["", f"The hub is at  {greeting.address}"]
    if greeting.sign_in is not None:
        text += ["", "Sign in as its owner, once, within one hour:", f"  {greeting.sign_in}"]
    if greeting.curl is None:
        text += ["", "No chat model can be called yet. Add a provider: hub provider adopt NAME, or hub apply FILE."]
    elif greeting.has_key:
        text += ["", "Try it. The key in this line is shown only now:", f"  {greeting.curl}"]
    else:
        text += [
            "",
            f"Try it, with a key from `{hub_command} key create --team {FIRST_TEAM} --name NAME` in $API_KEY:",
            f"  {greeting.curl}",
        ]
    if greeting.is_demo:
        text += [
            "",
            "DEMO: without a provider, a built-in stand-in answers with made-up text. It goes when you add one.",
        ]
    for found in offers:
        text += ["", *_offer(found, hub_command)]
    return [*text, ""]


def hub_command() -> str:
    """How this command is called from the folder where it was started."""
    return "hub" if shutil.which("hub") or not sys.argv[0].endswith("/hub") else sys.argv[0]


def _offer(found: Found, hub_command: str) -> list[str]:
    return [f"Found {found.source}. Use {found.kind.title}:", f"  {hub_command} provider adopt {found.name}"]


def _curl(base: str, model: str, key: Secret | None) -> str:
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "Hello! What can you do?"}]}
    bearer = "$API_KEY" if key is None else key.reveal()
    return (
        f'curl -N {base}/v1/chat/completions -H "Authorization: Bearer {bearer}" '
        f'-H "Content-Type: application/json" -d {shlex.quote(json.dumps(body))}'
    )


def _reachable(host: str) -> str:
    """An address that can be opened: "all interfaces" is none."""
    if host in ("0.0.0.0", "::", ""):  # noqa: S104
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
