"""The proofs are worth something: a ledger with a fault in it does not pass them.

`PLANTED_FAULTS` is how many are tried, from the first; `make prove` tries all.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.proofs import figures
from tests.proofs.random_life import ROOT

pytestmark = pytest.mark.prove

OPERATIONS = 1500
_MOVEMENTS, _GIVING, _BOOK = (f"app/domain/billing/{name}.py" for name in ("movements", "giving", "book"))

FAULTS = {
    "a hold is not given back": (_MOVEMENTS, "account.held -= hold.amount", "pass"),
    "a call is settled twice": (_MOVEMENTS, 'hold is not None and hold.state == "settled"', "False"),
    "a change runs before the row is there": (
        "app/base/writer.py",
        "return [*adding.values(), *ordered]",
        "return [*ordered, *adding.values()]",
    ),
    "a late settlement gives the hold back again": (
        _MOVEMENTS,
        'if hold.state == "open":\n            if account',
        "if True:\n            if account",
    ),
    "overage is not counted": (_MOVEMENTS, "account.overage += over", "pass"),
    "debt has no bound": (_MOVEMENTS, "over = min(left, max(0,", "over = max(left, min(0,"),
    "the house is paid more than the wallet pays": (
        _MOVEMENTS,
        'EntryLine("revenue", self.charge_nano)',
        'EntryLine("revenue", self.charge_nano + 1)',
    ),
    "a hold grows without credit": (_MOVEMENTS, "min(self.wish_nano, hold.amount + free)", "self.wish_nano"),
    "a hold is not written to the account": (
        _MOVEMENTS,
        "account.held += amount\n",
        "account.held += amount if amount < 3000 else 0\n",
    ),
    "frozen accounts take calls": (_MOVEMENTS, "if account.is_frozen:", "if False:"),
    "budgets do not count what is held": (_MOVEMENTS, "spend.spent + spend.held", "spend.spent"),
    "a grant counts twice": (
        _GIVING,
        'EntryLine("wallet", self.amount_nano, grant.id)',
        'EntryLine("granted", -self.amount_nano), EntryLine("wallet", 2 * self.amount_nano, grant.id)',
    ),
    "more is taken back than was bought": (
        _GIVING,
        "min(self.amount_nano, grant.amount - grant.taken_back)",
        "self.amount_nano",
    ),
    "what has ended stays": (
        _GIVING,
        "rest = grant.remaining\n            grant.remaining = 0",
        "rest = grant.remaining",
    ),
    "debt beside credit": (_GIVING, "if not account.overage:", "if True:"),
    "a deduction takes what calls hold": (_GIVING, "if self.amount_nano > free:", "if self.amount_nano > usable:"),
    "grants burn in any order": (_BOOK, "key=GrantState.burns_before", "key=lambda grant: grant.id[::-1]"),
    "what has ended lets calls in": (_BOOK, "grant.expires_us <= now_us)", "False)"),
    "what is held can be held again": (_BOOK, "account.posted - account.held - unusable", "account.posted - unusable"),
    "journals do not follow each other": (_BOOK, "account.journals, account.head = seq,", "account.journals, _ = seq,"),
    "amounts are not checked": ("app/base/money.py", "if type(amount) is not int or", "if False and"),
}
TRIED = list(FAULTS)[: int(os.environ.get("PLANTED_FAULTS", "3"))]


@pytest.mark.parametrize("name", TRIED)
def test_a_planted_fault_is_found(name: str, migrated_sqlite: Path, tmp_path: Path) -> None:
    path, right, wrong = FAULTS[name]
    shutil.copytree(ROOT / "app", tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__"))
    source = (tmp_path / path).read_text()
    assert right in source, "The fault cannot be planted: the code reads otherwise now."
    (tmp_path / path).write_text(source.replace(right, wrong))

    code, said = lived(tmp_path, migrated_sqlite)

    assert code == 3, said
    assert "Error" in said and "ImportError" not in said and "NameError" not in said and "SyntaxError" not in said
    figures.note(f"planted: {name}", said)


def test_without_a_fault_nothing_is_found(migrated_sqlite: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "app", tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__"))

    assert lived(tmp_path, migrated_sqlite, operations=200) == (0, "")


def lived(app_parent: Path, template: Path, operations: int = OPERATIONS) -> tuple[int, str]:
    data = app_parent / "data"
    data.mkdir()
    with closing(sqlite3.connect(template)) as source, closing(sqlite3.connect(data / "hub.db")) as copy:
        source.backup(copy)
    program = ROOT / "tests" / "proofs" / "random_life.py"
    done = subprocess.run(
        [sys.executable, str(program), str(app_parent), str(data), str(operations)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done.returncode, (done.stdout.splitlines() or [""])[-1]
