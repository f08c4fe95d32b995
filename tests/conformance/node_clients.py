"""Finds Node and its packages, and runs one of the scripts in `node/` against a door."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.conformance.doors import Door

FOLDER = Path(__file__).resolve().parent / "node"
AIGNE_FOLDER = FOLDER.parent / "node_aigne"
"""The framework brings 290 MB of packages, so it stands apart."""
_OLDEST = 20
IS_CI = os.environ.get("CI") == "true"


def what_is_missing(folder: Path = FOLDER) -> str | None:
    """Why the scripts cannot run here, in a sentence; None if they can.

    Under CI the packages are installed first, so only a missing Node is left as a reason, and that is then an error.
    """
    node = shutil.which("node")
    if node is None:
        return f"Node {_OLDEST} or newer is not installed."
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(re.findall(r"\d+", told)[0]) < _OLDEST:
        return f"Node {_OLDEST} or newer is needed; this is {told.strip()}."
    if not (folder / "node_modules").is_dir():
        if not IS_CI:
            return f"The packages are missing: run `npm ci` in tests/conformance/{folder.name}."
        subprocess.run(["npm", "ci", "--ignore-scripts"], cwd=folder, check=True, timeout=300)
    return None


def run(script: str, door: Door, folder: Path = FOLDER) -> dict[str, Any]:
    """What the script saw, by case.

    Raises:
        AssertionError: the script itself broke.
    """
    models = {
        "chat": door.model("gpt-4o-mini"),
        "slow": door.model("slow-20"),
        "embedding": door.model("text-embedding-3-small"),
        "image": door.model("gpt-image-1"),
        "speech": door.model("gpt-4o-mini-tts"),
        "transcription": door.model("whisper-1"),
        "reasoning": "deepseek/deepseek-reasoner" if door.is_hub else "o3-mini",
    }
    environ = {"PATH": os.environ["PATH"], "CONFORMANCE_BASE_URL": door.base_url(), "CONFORMANCE_API_KEY": door.key()}
    environ["CONFORMANCE_MODELS"] = json.dumps(models)
    done = subprocess.run(
        ["node", script], cwd=folder, env=environ, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
