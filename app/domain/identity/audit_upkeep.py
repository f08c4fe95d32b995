"""The audit trail, checked and shortened.

    seq     an event is missing, or there is one too many
    chain   an event does not carry the hash of the one before it
    hash    an event was changed after it was recorded
    anchor  events are missing at the beginning, and the trail itself does not say that the hub has forgotten them
    head    events are missing at the end: the hub has noted a newer one

Forgetting cuts whole days off the beginning. What stood last is kept as the anchor of what follows, in a setting and in
an event of its own, so that the cut itself can be checked.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.base.wrongs import Report
from app.domain.identity import audit
from app.domain.identity.audit import Head
from app.domain.identity.models import AuditEvent, HubSetting

FORGOT = "audit.forget"
NOTED = "audit.head"
"""The setting that holds an event which was the newest once, as `SEQ:HASH`."""

_TABLE = "audit_event"
_ROWS_PER_QUERY = 2_000
_DAY_US = 86_400 * clock.MICROSECONDS


async def verify(session: AsyncSession, report: Report) -> Head:
    """Walk the whole chain; gives where it stands.

    Raises:
        Enough: as many wrong events were found as were asked for.
    """
    at = anchor = await _anchor(session, report)
    noted = await _setting(session, NOTED)
    wanted = None if noted is None else audit.read_head(noted)
    is_excused = not anchor.seq
    is_first = True
    while True:
        query = select(AuditEvent).where(AuditEvent.seq > (0 if is_first else at.seq))
        events = (await session.scalars(query.order_by(AuditEvent.seq).limit(_ROWS_PER_QUERY))).all()
        if not events:
            break
        report.count(_TABLE, len(events))
        for event in events:
            key = str(event.seq)
            if is_first and (event.seq, event.prev) != (at.seq + 1, at.hash):
                _tell_beginning(report, event, at)
            elif event.seq != at.seq + 1:
                report.tell("seq", _TABLE, key, event.seq, at.seq + 1)
            elif event.prev != at.hash:
                report.tell("chain", _TABLE, key, event.prev.hex(), at.hash.hex())
            should = audit.hash_of({"prev": event.prev, **{name: getattr(event, name) for name in audit.COLUMNS}})
            if event.hash != should:
                report.tell("hash", _TABLE, key, event.hash.hex(), should.hex())
            if wanted is not None and event.seq == wanted.seq and event.hash != wanted.hash:
                report.tell("head", _TABLE, key, event.hash.hex(), wanted.hash.hex())
            is_excused = is_excused or _is_cut(event, anchor)
            # What comes after is measured by what stands here: one wrong row is told once.
            at, is_first = Head(event.seq, event.hash), False
        session.expunge_all()
    if not is_excused:
        report.tell("anchor", _TABLE, str(anchor.seq), f"forgotten up to {anchor}", f"an event {FORGOT} that says so")
    if wanted is not None and wanted.seq > at.seq:
        report.tell("head", _TABLE, str(wanted.seq), None, wanted.hash.hex())
    return at


async def forget(session: AsyncSession, keep_days: int, now_us: int) -> int:
    """Forget the events of the days (UTC) before the last `keep_days`; how many went. 0 keeps all for ever.

    Events that only tell of earlier forgetting wait for others to go with.
    """
    if not keep_days:
        return 0
    cutoff_us = (now_us // _DAY_US - keep_days) * _DAY_US
    # The clock may have jumped: what goes is what stands before the first event that stays.
    stays = await session.scalar(select(func.min(AuditEvent.seq)).where(AuditEvent.at_us >= cutoff_us))
    going = AuditEvent.seq < stays if stays is not None else AuditEvent.at_us < cutoff_us
    last = select(AuditEvent.seq, AuditEvent.hash).where(going).order_by(AuditEvent.seq.desc()).limit(1)
    row = (await session.execute(last)).first()
    others = select(AuditEvent.seq).where(going, AuditEvent.action != FORGOT).limit(1)
    if row is None or await session.scalar(others) is None:
        return 0
    cut = Head(row.seq, row.hash)
    oldest = await session.scalar(select(func.min(AuditEvent.seq)))
    gone = cut.seq - (oldest or 0) + 1
    await _put(session, audit.ANCHOR, str(cut))
    # First: the chain goes on from its newest event, which may be among those that go.
    await audit.record(
        session,
        audit.HUB,
        FORGOT,
        "audit",
        str(cut.seq),
        f"up to event {cut.seq}",
        after={**_told(cut), "events": gone, "keep_days": keep_days},
        source="hub",
    )
    await session.execute(
        delete(AuditEvent).where(AuditEvent.seq <= cut.seq).execution_options(synchronize_session=False)
    )
    return gone


async def note_head(session: AsyncSession) -> None:
    """Note the newest event, so that it is missed when it goes. Not at each event: a setting wakes every process."""
    at = await audit.head(session)
    if at.seq:
        await _put(session, NOTED, str(at))


async def is_head_noted(session: AsyncSession) -> bool:
    at = await audit.head(session)
    return not at.seq or await _setting(session, NOTED) == str(at)


async def _anchor(session: AsyncSession, report: Report) -> Head:
    try:
        return await audit.anchor(session)
    except ValueError:
        report.tell("anchor", "hub_setting", audit.ANCHOR, await _setting(session, audit.ANCHOR), "SEQ:HASH")
        return Head(0, audit.NO_HEAD)


def _tell_beginning(report: Report, event: AuditEvent, at: Head) -> None:
    says, should = f"{event.seq}, after {event.prev.hex()}", f"{at.seq + 1}, after {at.hash.hex()}"
    report.tell("anchor" if event.seq > 1 else "chain", _TABLE, str(event.seq), says, should)


def _is_cut(event: AuditEvent, anchor: Head) -> bool:
    if event.action != FORGOT or event.after is None:
        return False
    try:
        said = msgspec.json.decode(event.after)
    except msgspec.DecodeError:
        return False
    return _told(anchor).items() <= said.items()


def _told(cut: Head) -> dict[str, Any]:
    return {"up_to": cut.seq, "stood_at": f"sha256:{cut.hash.hex()}"}


async def _setting(session: AsyncSession, key: str) -> str | None:
    return await session.scalar(select(HubSetting.value).where(HubSetting.key == key))


async def _put(session: AsyncSession, key: str, value: str) -> None:
    await session.execute(
        text(
            "INSERT INTO hub_setting (key, value) VALUES (:key, :value) "
            "ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        ),
        {"key": key, "value": value},
    )
