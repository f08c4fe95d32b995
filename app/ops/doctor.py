"""`hub doctor`: a table of checks. Each says what it found, how bad that is, and how to mend it.

Checks of the machine need nothing but the settings; those of the hub run when its database and its master key do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct

from app.base.config import Settings
from app.base.db import Database
from app.base.errors import AppError
from app.base.vault import Vault, VaultError
from app.ops import doctor_hub, doctor_limits, doctor_machine
from app.ops.doctor_hub import Hub
from app.ops.findings import Finding, Level, fatal

MachineCheck = Callable[[Settings], Awaitable[Sequence[Finding]]]
HubCheck = Callable[[Hub], Awaitable[Sequence[Finding]]]

MACHINE_CHECKS: tuple[tuple[str, MachineCheck], ...] = (
    ("data folder", doctor_machine.data_folder),
    ("disk", doctor_machine.disk),
    ("clock", doctor_machine.clock_),
    ("port", doctor_machine.port),
    ("database", doctor_machine.database),
    ("master key", doctor_machine.master_key),
)

HUB_CHECKS: tuple[tuple[str, HubCheck], ...] = (
    ("database version", doctor_hub.database_version),
    ("time of calls", doctor_hub.time_of_calls),
    ("canary", doctor_hub.canary),
    ("credentials", doctor_hub.credentials_),
    ("providers", doctor_hub.providers_),
    ("models", doctor_hub.models),
    ("prices", doctor_hub.prices),
    ("API keys", doctor_hub.keys),
    ("limits", doctor_limits.limits_),
)


class Diagnosis(Struct, frozen=True, kw_only=True):
    check: str
    level: Level
    sentence: str
    mend: str


async def examine(settings: Settings) -> list[Diagnosis]:
    """Everything that can be looked at now; a check that cannot run because another failed is left out."""
    diagnoses: list[Diagnosis] = []
    for name, check in MACHINE_CHECKS:
        diagnoses += _diagnosed(name, await check(settings))
    failed = {one.check for one in diagnoses if one.level == "fatal"}
    if failed & {"database", "master key", "data folder"} or not await doctor_machine.has_database(settings):
        return diagnoses
    db = Database(settings)
    try:
        ring = doctor_machine.ring(settings)
        hub = Hub(settings, db, None if ring is None else Vault(ring))
        for name, check in HUB_CHECKS:
            try:
                findings = await check(hub)
            except (AppError, VaultError) as error:
                findings = [fatal(str(error))]
            diagnoses += _diagnosed(name, findings)
    finally:
        await db.close()
    return diagnoses


def is_fatal(diagnoses: Sequence[Diagnosis]) -> bool:
    return any(one.level == "fatal" for one in diagnoses)


def _diagnosed(name: str, findings: Sequence[Finding]) -> list[Diagnosis]:
    return [Diagnosis(check=name, level=one.level, sentence=one.sentence, mend=one.mend) for one in findings]
