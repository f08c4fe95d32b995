"""`hub doctor`: each thing that can be wrong is found, with how to mend it; the exit code tells what is fatal."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.base import clock
from app.base.config import MEBIBYTE
from app.base.secret import Secret
from app.base.vault import key_file
from app.domain.catalog import credentials, deployments, providers
from app.ops import doctor_machine, house
from app.ops.house import House
from tests.ops.conftest import HubCommand

_PREPARED = ("data folder", "disk", "clock", "port", "database", "master key")


@pytest.fixture
def patient(hub: HubCommand) -> HubCommand:
    """A hub that has been started once, on a port that nobody uses."""
    hub.environ["HUB_PORT"] = "0"
    hub("key", "create", "--team", "acme", "--name", "ci")
    return hub


def _found(hub: HubCommand, check: str, *, expect: int = 0) -> list[dict[str, Any]]:
    return [one for one in hub.json("doctor", expect=expect) if one["check"] == check]


def _change(hub: HubCommand, work: Callable[[House, Any], Awaitable[object]]) -> None:
    async def run() -> None:
        async with house.opened(hub.settings) as opened, opened.db.writing() as session:
            await work(opened, session)

    asyncio.run(run())


def test_a_healthy_hub_has_nothing_fatal(patient: HubCommand) -> None:
    diagnoses = patient.json("doctor")

    assert {one["check"] for one in diagnoses} >= {*_PREPARED, "database version", "canary", "credentials", "models"}
    assert [one["check"] for one in diagnoses if one["level"] != "ok"] == ["providers"]
    text = patient("doctor").stdout
    assert "warning" in text and "hub provider adopt" in text


def test_looking_at_a_hub_that_was_never_started_changes_nothing(hub: HubCommand) -> None:
    hub.environ["HUB_PORT"] = "0"
    before = sorted(hub.settings.data_dir.iterdir())

    assert _found(hub, "canary") == [
        {"check": "canary", "level": "ok", "sentence": "It will be made at the first start.", "mend": ""}
    ]
    assert not key_file(hub.settings).exists()
    assert [path for path in sorted(hub.settings.data_dir.iterdir()) if path.suffix not in (".db-wal", ".db-shm")] == [
        path for path in before if path.suffix not in (".db-wal", ".db-shm")
    ]


def test_a_database_without_the_schema_is_fatal(tmp_path: Path) -> None:
    hub = HubCommand({"HUB_DATA_DIR": str(tmp_path / "new"), "HUB_PORT": "0"})

    (found,) = _found(hub, "database", expect=1)

    assert (found["level"], found["mend"]) == ("fatal", "Run: hub migrate")
    assert not (tmp_path / "new").exists()


def test_a_database_that_does_not_answer_is_fatal(tmp_path: Path) -> None:
    url = "postgresql://hub:secretword@127.0.0.1:1/hub"
    hub = HubCommand({"HUB_DATA_DIR": str(tmp_path), "HUB_PORT": "0", "DATABASE_URL": url})

    (found,) = _found(hub, "database", expect=1)

    assert "does not answer" in found["sentence"]
    assert "secretword" not in str(found)


@pytest.mark.databases("sqlite")
def test_a_key_file_that_others_can_read_is_fatal(patient: HubCommand) -> None:
    key_file(patient.settings).chmod(0o644)

    (found,) = _found(patient, "master key", expect=1)

    assert "chmod 600" in found["sentence"]


def test_a_lost_and_a_wrong_master_key_are_fatal(patient: HubCommand) -> None:
    key_file(patient.settings).unlink()
    (lost,) = _found(patient, "canary", expect=1)
    assert "The master key is gone" in lost["sentence"]
    assert not key_file(patient.settings).exists(), "a look must not make another key"

    patient.environ["HUB_MASTER_KEY"] = "ab" * 32
    (wrong,) = _found(patient, "canary", expect=1)
    assert "does not open" in wrong["sentence"]


@pytest.mark.databases("sqlite")
def test_a_port_in_use_is_fatal_unless_a_hub_answers_there(
    patient: HubCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_machine, "_ANSWER_SECONDS", 0.2)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        patient.environ["HUB_PORT"] = str(other.getsockname()[1])
        (taken,) = _found(patient, "port", expect=1)
    assert "HUB_PORT" in taken["mend"]

    async def with_a_hub() -> list[Any]:
        async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\n\r\nok")
            writer.close()

        server = await asyncio.start_server(answers, "127.0.0.1", 0)
        async with server:
            patient.environ["HUB_PORT"] = str(server.sockets[0].getsockname()[1])
            return list(await doctor_machine.port(patient.settings))

    (found,) = asyncio.run(with_a_hub())
    assert found.level == "ok"


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(("free", "level"), [(50, "fatal"), (500, "warning"), (50_000, "ok")])
def test_a_full_disk_is_found_before_it_is_full(
    patient: HubCommand, monkeypatch: pytest.MonkeyPatch, free: int, level: str
) -> None:
    usage = type("Usage", (), {"free": free * MEBIBYTE})
    monkeypatch.setattr("app.ops.doctor_machine.shutil.disk_usage", lambda _path: usage)

    (found,) = _found(patient, "disk", expect=int(level == "fatal"))

    assert found["level"] == level


@pytest.mark.databases("sqlite")
def test_a_clock_of_the_past_is_fatal(patient: HubCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(1970, 1, 3, tzinfo=UTC))

    (found,) = _found(patient, "clock", expect=1)

    assert found["level"] == "fatal"


@pytest.mark.databases("sqlite")
def test_a_data_folder_that_is_a_file_is_fatal(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    hub = HubCommand({"HUB_DATA_DIR": str(tmp_path / "file"), "HUB_PORT": "0"})

    (found,) = _found(hub, "data folder", expect=1)

    assert "is not a folder" in found["sentence"]


def test_credentials_that_are_disabled_or_cannot_be_opened_are_named(patient: HubCommand) -> None:
    async def work(opened: House, session: Any) -> None:
        lab = await providers.add(session, name="lab", kind="custom", base_url="http://lab.example/v1")
        for label in ("damaged", "refused", "fine"):
            row = await credentials.add(
                session,
                opened.vault,
                opened.pepper,
                provider_id=lab.id,
                label=label,
                parts={"secret": Secret("sk-000000000000000000")},
            )
            if label == "damaged":
                row.sealed = "v1.00000000.AAAA.AAAA"
            if label == "refused":
                await credentials.disable(session, row.id, "The provider answered 401.")

    _change(patient, work)

    damaged, refused = _found(patient, "credentials")
    assert "lab/damaged cannot be opened" in damaged["sentence"]
    assert refused["sentence"] == "lab/refused is disabled: The provider answered 401."
    assert "hub provider check lab --enable" in refused["mend"]


def test_models_that_nobody_serves_are_named(patient: HubCommand) -> None:
    async def work(opened: House, session: Any) -> None:
        off = await providers.add(session, name="off", kind="ollama", is_enabled=False)
        for number in range(7):
            await deployments.add_model(session, name=f"bare/{number}", type="chat")
        stuck = await deployments.add_model(session, name="stuck/one", type="chat")
        await deployments.add(session, model_id=stuck.id, provider_id=off.id, upstream_model="one")

    _change(patient, work)

    bare, stuck = _found(patient, "models")
    assert "bare/0" in bare["sentence"] and "and 2 more" in bare["sentence"]
    assert "disabled providers: stuck/one" in stuck["sentence"]


def test_providers_that_cannot_be_called_are_named(patient: HubCommand) -> None:
    async def work(opened: House, session: Any) -> None:
        await providers.add(session, name="keyless", kind="openai")
        await providers.add(session, name="local", kind="ollama")
        await providers.add(session, name="strange", kind="of-a-newer-hub")

    _change(patient, work)

    sentences = [one["sentence"] for one in _found(patient, "providers")]
    assert len(sentences) == 2
    assert "keyless has no credential." in sentences[0]
    assert "unknown kind" in sentences[1]


@pytest.mark.databases("sqlite")
def test_a_hub_without_a_working_key_is_warned(patient: HubCommand) -> None:
    patient("key", "revoke", "--team", "acme", "--name", "ci")

    (found,) = _found(patient, "API keys")

    assert (found["level"], "hub key create" in found["mend"]) == ("warning", True)


@pytest.mark.databases("sqlite")
def test_an_unfinished_rotation_is_found(patient: HubCommand) -> None:
    from app.ops import rotation

    rotation.begin(patient.settings)

    assert "hub rotate-master-key" in _found(patient, "master key")[1]["mend"]
    patient("rotate-master-key")
    assert len(_found(patient, "master key")) == 1
