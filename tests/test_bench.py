"""The harness of `make bench` runs and counts. How fast anything is, is no business of a test."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the harness reads /proc")
def test_the_harness_measures_the_bare_stand_in(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    amount = ["--quick", "--seconds", "0.2", "--client", "own"]
    arguments = [*amount, "--subject", "direct", "--only", "chat", "--only", "stream"]

    done = subprocess.run(
        [sys.executable, "-m", "bench", *arguments, "--json", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    rows = json.loads(path.read_bytes())["rows"]
    assert [(row["case"], row["subject"]) for row in rows] == [("chat", "direct"), ("stream", "direct")]
    for row in rows:
        assert row["errors"] == 0
        assert row["calls"] > 0
        assert row["rss_mb"] > 0
    assert "| stream | direct |" in done.stdout
