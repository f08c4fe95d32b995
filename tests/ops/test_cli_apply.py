"""`hub apply` as people run it: what it prints, with which exit code, and what it never prints."""

from __future__ import annotations

from pathlib import Path

from tests.ops.conftest import HubCommand
from tests.ops.hub_files import AWS_SECRET, ENVIRON, FULL, KEY_SECRET, OPENAI_SECRET


def test_the_command_prints_the_plan_applies_it_and_then_has_nothing_to_do(hub: HubCommand, tmp_path: Path):
    file = tmp_path / "hub.yaml"
    file.write_text(FULL)
    hub.environ |= ENVIRON

    dry = hub("apply", str(file), "--dry-run").stdout
    assert "+ provider openai" in dry and dry.endswith("Nothing was changed: this was a dry run.\n")
    done = hub("apply", str(file)).stdout
    assert "+ provider openai" in done and done.endswith("Done: 21 changes.\n")
    assert hub("apply", str(file)).stdout == "Nothing to change.\n"
    assert hub("apply", "-", input=FULL).stdout == "Nothing to change.\n"
    assert hub.json("apply", str(file)) == {"changes": [], "kept": [], "is_applied": False}
    kept = hub("apply", "-", input="teams: []").stdout
    assert kept == "Not in the file, kept (--prune removes): team Research & Co, team acme\nNothing to change.\n"


def test_the_command_refuses_a_faulty_file_with_exit_code_1(hub: HubCommand, tmp_path: Path):
    file = tmp_path / "hub.yaml"
    file.write_text("billing: maybe\nteam: []\n")

    result = hub("apply", str(file), expect=1)

    assert result.stdout == ""
    assert result.stderr.endswith(
        "The file has 2 faults; nothing was changed.\n"
        f"{file}:1: billing: billing must be off, cost or credits.\n"
        f'{file}:2: team: there is no such key here. Did you mean "teams"?\n'
    )


def test_no_secret_is_in_anything_that_apply_and_export_print(hub: HubCommand):
    hub.environ |= ENVIRON
    fresh = {"OPENAI_API_KEY": "sk-rotatedThisIsTheOtherSecret9", "ACME_KEY": KEY_SECRET[::-1]}
    printed: list[str] = []

    for environ in (ENVIRON, ENVIRON | fresh):
        hub.environ |= environ
        for arguments in (("--dry-run",), ("--dry-run", "--json"), ()):
            result = hub("apply", "-", *arguments, input=FULL)
            printed += [result.stdout, result.stderr]
        printed += [hub("export").stdout, hub("export", "--json").stdout]
    printed.append(hub("apply", "-", input=FULL + "oops: 1\n", expect=1).stderr)

    for secret in (OPENAI_SECRET, AWS_SECRET, KEY_SECRET, *fresh.values()):
        assert not any(secret in text or secret[4:20] in text for text in printed)
    assert any("secret changed" in text for text in printed)
