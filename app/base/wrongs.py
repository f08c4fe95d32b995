"""What a check of stored rows finds: rows that are wrong, each named with what it says and what it should say."""

from __future__ import annotations

from typing import NoReturn

from msgspec import Struct

Said = int | str | None


class Wrong(Struct, frozen=True, kw_only=True):
    """One wrong row."""

    check: str
    """What was looked at, such as `chain`, `sum`, `price`."""
    table: str
    key: str
    """The row's key; parts of one are joined by `/`."""
    says: Said
    should: Said


class Enough(Exception):
    """As many were found as were asked for."""


class Report:
    """Gathers what is checked and what is wrong, up to `most` rows; then the check is over."""

    def __init__(self, most: int = 1) -> None:
        self.most = most
        self.checked: dict[str, int] = {}
        """Rows that were looked at, by table."""
        self.wrong: list[Wrong] = []

    @property
    def left(self) -> int:
        """How many more are wanted."""
        return self.most - len(self.wrong)

    def count(self, table: str, rows: int) -> None:
        self.checked[table] = self.checked.get(table, 0) + rows

    def tell(self, check: str, table: str, key: str, says: Said, should: Said) -> None:
        """
        Raises:
            Enough
        """
        self.wrong.append(Wrong(check=check, table=table, key=key, says=says, should=should))
        if not self.left:
            self.end()

    def same(self, check: str, table: str, key: str, says: Said, should: Said) -> bool:
        """Tell it, unless the row says what it should; whether it does.

        Raises:
            Enough
        """
        if says == should:
            return True
        self.tell(check, table, key, says, should)
        return False

    def end(self) -> NoReturn:
        raise Enough
