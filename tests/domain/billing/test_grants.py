from __future__ import annotations

import pytest

from app.base.config import read_settings
from app.base.db import Database
from app.base.errors import BadValue
from app.domain.billing import grants
from app.domain.identity import teams


async def test_grants_add_up_by_team_and_source(hub_environ: dict[str, str]):
    db = Database(read_settings(hub_environ))
    async with db.writing() as session:
        acme, other = await teams.create(session, name="acme"), await teams.create(session, name="other")
        for team, amount, source in ((acme, 50, "file"), (acme, -20, "file"), (acme, 7, "console")):
            await grants.grant(session, team_id=team.id, amount_nano=amount, source=source, reason="test")

        assert await grants.granted_total(session, acme.id, "file") == 30
        assert await grants.granted_total(session, other.id, "file") == 0
        assert await grants.totals(session, "file") == {acme.id: 30}
        assert await grants.teams_with_grants(session) == {acme.id}
        with pytest.raises(BadValue):
            await grants.grant(session, team_id=acme.id, amount_nano=0, source="file", reason="test")
    await db.close()
