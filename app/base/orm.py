"""What every table shares: the declarative base, constraint names that migrations can rely on, and column types.

Relationships are not used: a query loads what its page shows, and joins say so.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from advanced_alchemy.types import DateTimeUTC
from sqlalchemy import JSON, BigInteger, MetaData, String, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

from app.base.ids import new_id

Id = Annotated[str, mapped_column(String(32), primary_key=True, default=new_id)]
Ref = Annotated[str, mapped_column(String(32))]
Name = Annotated[str, mapped_column(String(200))]
LongText = Annotated[str, mapped_column(Text)]
Count = Annotated[int, mapped_column(BigInteger, default=0)]
Nano = Annotated[int, mapped_column(BigInteger)]
"""An amount in nano-credits or nano-USD."""
DurationUs = Annotated[int, mapped_column(BigInteger)]
"""Microseconds."""
MomentUs = Annotated[int, mapped_column(BigInteger)]
"""Microseconds since 1970: what the writer stores for calls."""
Moment = Annotated[datetime, mapped_column(DateTimeUTC(timezone=True))]
# advanced-alchemy 1.12 has a JsonB type that does not load under SQLAlchemy 2.1.
Json = Annotated[Any, mapped_column(JSON().with_variant(JSONB(), "postgresql"))]


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
