"""Settings: read once, complained about by name, all of them in `.env.example`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.base.config import read_settings
from app.base.errors import BadValue

_EXAMPLE = Path(__file__).resolve().parents[2] / ".env.example"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HUB_PORT", "http"),
        ("HUB_PORT", "70000"),
        ("HUB_PORT", "-1"),
        ("HUB_WORKERS", "0"),
        ("HUB_WORKERS", "1.5"),
        ("HUB_MOUNT_PREFIX", "hub"),
        ("HUB_MOUNT_PREFIX", "/hub/"),
        ("HUB_MOUNT_PREFIX", "/h b"),
        ("HUB_PUBLIC_URL", "hub.example.com"),
        ("HUB_PUBLIC_URL", "https://hub.example.com/"),
        ("HUB_LOG_FORMAT", "xml"),
        ("HUB_LOG_LEVEL", "loud"),
        ("HUB_MAX_BODY_BYTES", "10"),
        ("HUB_MAX_IN_FLIGHT", "many"),
        ("HUB_SHUTDOWN_GRACE_SECONDS", "nan"),
        ("HUB_SHUTDOWN_GRACE_SECONDS", "inf"),
        ("HUB_SHUTDOWN_GRACE_SECONDS", "-1"),
        ("HUB_SHUTDOWN_GRACE_SECOND", "1"),
        ("HUB_", "x"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(BadValue, match=name):
        read_settings({name: value})


def test_what_is_empty_is_not_set() -> None:
    settings = read_settings({"HUB_PORT": "", "HUB_MASTER_KEY": " ", "DATABASE_URL": "", "BLOCKLET_PORT": ""})

    assert (settings.port, settings.master_key, settings.database_url) == (8080, None, None)


def test_our_own_names_go_before_those_of_blocklet_server() -> None:
    blocklet = {"BLOCKLET_DATA_DIR": "/b", "BLOCKLET_PORT": "9000", "BLOCKLET_DID": "did"}

    assert (read_settings(blocklet).data_dir, read_settings(blocklet).port) == (Path("/b"), 9000)
    both = read_settings({**blocklet, "HUB_DATA_DIR": "/h", "HUB_PORT": "9001"})
    assert (both.data_dir, both.port) == (Path("/h"), 9001)
    assert read_settings(blocklet).interrupt_grace_seconds == 1.4 < read_settings({}).interrupt_grace_seconds


def test_secrets_do_not_show(tmp_path: Path) -> None:
    settings = read_settings(
        {"HUB_MASTER_KEY": "m" * 40, "HUB_METRICS_TOKEN": "t" * 40, "DATABASE_URL": "postgresql://u:ppppp@h/d"}
    )

    assert not {"mmmm", "tttt", "ppppp"} & set(re.findall(r"m{4}|t{4}|p{5}", repr(settings)))


def test_every_setting_is_in_the_example_and_nothing_else() -> None:
    named = set(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", _EXAMPLE.read_text(), re.MULTILINE))
    asked: set[str] = set()

    class Watching(dict[str, str]):
        def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]
            asked.add(key)
            return default

    read_settings(Watching())
    known = {name for name in asked if name.startswith("HUB_") or name == "DATABASE_URL"}

    assert known <= named
    assert {name for name in named if name.startswith("HUB_")} == {name for name in known if name.startswith("HUB_")}


def test_a_port_of_blocklet_server_that_cannot_be_is_refused() -> None:
    with pytest.raises(BadValue, match="http"):
        read_settings({"BLOCKLET_PORT": "http"})


def test_private_addresses_are_fetched_only_where_the_operator_says_so_plainly() -> None:
    assert read_settings({}).fetch_private_addresses is False
    assert read_settings({"HUB_FETCH_PRIVATE_ADDRESSES": "1"}).fetch_private_addresses is True
    with pytest.raises(BadValue, match="HUB_FETCH_PRIVATE_ADDRESSES"):
        read_settings({"HUB_FETCH_PRIVATE_ADDRESSES": "yes"})


def test_a_mail_server_needs_a_sender_and_an_address_for_links_and_its_password_is_told_nobody() -> None:
    mail = {"HUB_SMTP_URL": "smtps://hub:opensesame@mail.example.com"}
    sender, address = {"HUB_MAIL_FROM": "Hub <hub@example.com>"}, {"HUB_PUBLIC_URL": "https://hub.example.com"}

    for given, missing in (({}, "HUB_MAIL_FROM"), (sender, "HUB_PUBLIC_URL")):
        with pytest.raises(BadValue, match=missing):
            read_settings({**mail, **given})
    settings = read_settings({**mail, **sender, **address})
    assert settings.mail_from == "Hub <hub@example.com>" and "opensesame" not in repr(settings)
    for wrong in ("mail.example.com", "http://u:opensesame@h", "smtp://u:opensesame@a@b"):
        with pytest.raises(BadValue, match="HUB_SMTP_URL") as refusal:
            read_settings({**sender, **address, "HUB_SMTP_URL": wrong})
        assert "opensesame" not in refusal.value.sentence
    with pytest.raises(BadValue, match="HUB_MAIL_FROM"):
        read_settings({**mail, **address, "HUB_MAIL_FROM": "a@b.example\r\nBcc: c@d.example"})
