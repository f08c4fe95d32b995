"""The hub's own secrets: a canary that tells whether the master key is the right one, and the pepper of the API keys.

Both are rows of `hub_setting`, sealed like any other secret.
"""

from __future__ import annotations

import base64
import secrets

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.base.secret import Secret
from app.base.vault import Place, Vault, VaultError
from app.domain.identity.models import HubSetting

CANARY = "vault.canary"
PEPPER = "keys.pepper"

_PEPPER_BYTES = 32
_CANARY_TEXT = Secret("this hub's secrets open")


def place(key: str) -> Place:
    """Where the sealed setting `key` lives, for whoever rotates the master key."""
    return Place("hub_setting", "value", key)


async def prepare(session: AsyncSession, vault: Vault) -> bytes:
    """The pepper, once the canary has opened. In a hub that has neither, both are made; needs a writing session.

    Two processes that start at once end with the same pepper: the row that was there first stands.

    Raises:
        VaultError: the master key is not the one that sealed this hub's secrets. Says what to do.
    """
    found = await _sealed(session)
    if not found:
        pepper = base64.b64encode(secrets.token_bytes(_PEPPER_BYTES)).decode()
        for key, secret in ((CANARY, _CANARY_TEXT), (PEPPER, Secret(pepper))):
            await session.execute(
                text("INSERT INTO hub_setting (key, value) VALUES (:key, :value) ON CONFLICT (key) DO NOTHING"),
                {"key": key, "value": vault.seal(secret, place(key))},
            )
        # Another process may have been quicker; what is in the table now is what all of them use.
        found = await _sealed(session)
    if missing := {CANARY, PEPPER} - found.keys():
        raise VaultError(
            f"The row {min(missing)} of table hub_setting is gone, and with it the API keys cannot be checked. "
            "Restore the database from a backup."
        )
    try:
        vault.open(found[CANARY], place(CANARY))
    except VaultError:
        raise VaultError(
            f"The master key {vault.primary_id} does not open this hub's secrets; "
            f"they were sealed with master key {_key_id(found[CANARY])}. "
            "Set HUB_MASTER_KEY to that key, or put its master.key back into the data folder, and start again. "
            "Nothing was changed. If that key is lost, what it sealed is lost too: begin with an empty database."
        ) from None
    return base64.b64decode(vault.open(found[PEPPER], place(PEPPER)).reveal())


async def _sealed(session: AsyncSession) -> dict[str, str]:
    rows = await session.execute(
        select(HubSetting.key, HubSetting.value).where(HubSetting.key.in_((CANARY, PEPPER))),
    )
    return dict(rows.all())


def _key_id(sealed: str) -> str:
    parts = sealed.split(".")
    return parts[1] if len(parts) == 4 else "unknown"
