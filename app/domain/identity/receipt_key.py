"""The key that signs receipts: made when the first is asked for, sealed like the hub's other secrets.

It never changes by itself, so the public key that somebody wrote down stays the hub's.
"""

from __future__ import annotations

import base64

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import signed
from app.base.secret import Secret
from app.base.vault import Vault
from app.domain.identity import hub_secrets
from app.domain.identity.models import HubSetting

RECEIPT_KEY = "receipts.key"


async def prepare(session: AsyncSession, vault: Vault) -> bytes:
    """The seed of the private key; needs a writing session. Two processes that make one end with the same.

    Raises:
        VaultError: it cannot be opened.
    """
    place = hub_secrets.place(RECEIPT_KEY)
    sealed = await session.scalar(select(HubSetting.value).where(HubSetting.key == RECEIPT_KEY))
    if sealed is None:
        fresh = Secret(base64.b64encode(signed.new_seed()).decode())
        await session.execute(
            text("INSERT INTO hub_setting (key, value) VALUES (:key, :value) ON CONFLICT (key) DO NOTHING"),
            {"key": RECEIPT_KEY, "value": vault.seal(fresh, place)},
        )
        sealed = await session.scalar(select(HubSetting.value).where(HubSetting.key == RECEIPT_KEY))
        assert sealed is not None
    return base64.b64decode(vault.open(sealed, place).reveal())
