"""Every client format against every provider; see `tests/conformance/matrix`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from tests.conformance.matrix import page
from tests.conformance.matrix.running import DRIVERS, PROVIDERS, Cell, Key, run


@pytest.fixture(scope="module")
def cells() -> Mapping[Key, Cell]:
    """One run for all tests of this module."""
    return asyncio.run(run())


@pytest.mark.parametrize("kind", [provider.kind for provider in PROVIDERS])
@pytest.mark.parametrize("format_", list(DRIVERS))
def test_each_feature_is_served_or_refused_with_a_reason(cells: Mapping[Key, Cell], format_: str, kind: str) -> None:
    failed = {
        feature: cell.notes
        for (of_format, of_kind, feature), cell in cells.items()
        if (of_format, of_kind) == (format_, kind) and cell.level == "failed"
    }
    assert not failed


def test_the_page_says_what_the_run_found(cells: Mapping[Key, Cell]) -> None:
    # `python -m tests.conformance.matrix` writes it anew.
    assert page.PATH.read_text() == page.written(cells)
