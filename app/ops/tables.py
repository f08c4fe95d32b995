"""Every table, imported once: for Alembic, and for tests that walk the schema."""

from __future__ import annotations

from app.base.orm import Base
from app.domain.billing import models as billing
from app.domain.calls import models as calls
from app.domain.catalog import models as catalog
from app.domain.identity import models as identity
from app.domain.media import models as media

TABLES = (identity, catalog, billing, calls, media)
"""The modules whose import fills `METADATA`."""

METADATA = Base.metadata
