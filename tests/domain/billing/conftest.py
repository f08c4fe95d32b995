"""The ledger's desk, on each database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.domain.billing.ledger_desk import LedgerDesk, opened_desk


@pytest.fixture
async def desk(hub_environ: dict[str, str]) -> AsyncIterator[LedgerDesk]:
    """Its books are right at the end, whatever the test did."""
    async with opened_desk(hub_environ) as made:
        yield made
        assert await made.wrong() == []
