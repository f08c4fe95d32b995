"""The writer's desk, on each database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.base.writer_desk import Desk, opened_desk


@pytest.fixture
async def desk(hub_environ: dict[str, str]) -> AsyncIterator[Desk]:
    async with opened_desk(hub_environ) as made:
        yield made
