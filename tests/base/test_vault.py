"""The vault: what is sealed opens in its own place with its own key, and nowhere else."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.base import vault
from app.base.config import Settings, read_settings
from app.base.secret import Secret
from app.base.vault import KeyRing, Place, Vault, VaultError, load_ring

HERE = Place("credential", "sealed", "row1", "team1")
ELSEWHERE = [
    Place("credential", "sealed", "row2", "team1"),
    Place("credential", "sealed", "row1", "team2"),
    Place("credential", "other", "row1", "team1"),
    Place("api_key", "sealed", "row1", "team1"),
    Place("credential", "sealed", "row1"),
]


def a_key(name: str) -> tuple[str, bytes]:
    return name, secrets.token_bytes(32)


def a_vault(*keys: tuple[str, bytes]) -> Vault:
    return Vault(KeyRing(keys or (a_key("k1"),)))


@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_what_is_sealed_opens_again(text: str) -> None:
    opened = a_vault()
    sealed = opened.seal(Secret(text), HERE)

    assert opened.open(sealed, HERE).reveal() == text
    assert len(text) < 8 or text not in sealed


@pytest.mark.parametrize("place", ELSEWHERE)
def test_a_text_that_was_moved_does_not_open(place: Place) -> None:
    opened = a_vault()

    with pytest.raises(VaultError, match="moved, changed or damaged"):
        opened.open(opened.seal(Secret("s"), HERE), place)


def test_the_same_secret_is_never_sealed_to_the_same_text() -> None:
    opened = a_vault()

    first, second = opened.seal(Secret("s"), HERE).split("."), opened.seal(Secret("s"), HERE).split(".")

    assert first[:2] == second[:2] and first[2] != second[2] and first[3] != second[3]


def test_any_bit_that_is_changed_is_noticed() -> None:
    opened = a_vault()
    version, key_id, wrapped, body = opened.seal(Secret("a secret"), HERE).split(".")
    for part in (wrapped, body):
        raw = bytearray(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        for at in range(len(raw)):
            raw[at] ^= 1
            changed = base64.urlsafe_b64encode(raw).decode().rstrip("=")
            text = ".".join([version, key_id, *((changed, body) if part == wrapped else (wrapped, changed))])
            with pytest.raises(VaultError):
                opened.open(text, HERE)
            raw[at] ^= 1


@given(st.text(alphabet="v1.abcXYZ019-_=é\0 ", max_size=120))
def test_no_text_brings_it_down(text: str) -> None:
    with pytest.raises(VaultError):
        a_vault().open(text, HERE)


def test_parts_of_two_texts_do_not_make_a_third() -> None:
    opened = a_vault()
    one, two = (opened.seal(Secret(text), HERE).split(".") for text in ("one", "two"))

    with pytest.raises(VaultError):
        opened.open(".".join([*one[:3], two[3]]), HERE)


def test_without_the_key_it_says_which_one_is_missing_and_not_the_secret() -> None:
    sealed = a_vault(a_key("k1")).seal(Secret("the secret text"), HERE)

    with pytest.raises(VaultError, match="master key k1, which is not here") as refusal:
        a_vault(a_key("k2")).open(sealed, HERE)
    assert "the secret text" not in str(refusal.value)
    with pytest.raises(VaultError, match="damaged"):
        a_vault(a_key("k1")).open(sealed, HERE)


def test_rotation_wraps_the_data_key_anew_and_leaves_the_ciphertext() -> None:
    old, new = a_key("old"), a_key("new")
    sealed = a_vault(old).seal(Secret("s"), HERE)
    both = a_vault(new, old)

    rewrapped = both.rewrap(sealed, HERE)

    assert rewrapped.split(".")[1] == "new" and rewrapped.split(".")[3] == sealed.split(".")[3]
    assert rewrapped.split(".")[2] != sealed.split(".")[2]
    assert a_vault(new).open(rewrapped, HERE).reveal() == "s"
    assert both.rewrap(rewrapped, HERE) == rewrapped
    with pytest.raises(VaultError):
        both.rewrap(sealed, ELSEWHERE[0])


def settings_of(data_dir: Path, **environ: str) -> Settings:
    return read_settings({"HUB_DATA_DIR": str(data_dir), **environ})


def test_the_first_start_makes_a_key_that_only_its_owner_can_read(tmp_path: Path) -> None:
    ring = load_ring(settings_of(tmp_path))

    assert (tmp_path / "master.key").stat().st_mode & 0o777 == 0o600
    assert load_ring(settings_of(tmp_path)) == ring and len(ring.keys[0][1]) == 32


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    load_ring(settings_of(tmp_path))
    (tmp_path / "master.key").chmod(0o640)

    with pytest.raises(VaultError, match="chmod 600"):
        load_ring(settings_of(tmp_path))


@pytest.mark.parametrize("content", ["", "\n", "short\n", "x" * 44])
def test_a_key_file_without_a_key_is_refused_and_never_written_over(tmp_path: Path, content: str) -> None:
    path = tmp_path / "master.key"
    path.write_text(content)
    path.chmod(0o600)

    with pytest.raises(VaultError):
        load_ring(settings_of(tmp_path))
    assert path.read_text() == content


def test_a_new_key_comes_first_and_the_old_one_stays_until_it_is_dropped(tmp_path: Path) -> None:
    old = load_ring(settings_of(tmp_path))
    path = vault.key_file(settings_of(tmp_path))

    vault.prepend_key(path)
    both = load_ring(settings_of(tmp_path))
    assert both.keys[1:] == old.keys and both.primary_id != old.primary_id

    vault.keep_first_key(path)
    assert load_ring(settings_of(tmp_path)).keys == both.keys[:1]
    assert path.stat().st_mode & 0o777 == 0o600 and os.listdir(tmp_path) == ["master.key"]


@pytest.mark.parametrize("write", [lambda key: key.hex(), lambda key: base64.b64encode(key).decode(),
                                   lambda key: base64.urlsafe_b64encode(key).decode().rstrip("=")])  # fmt: skip
def test_a_given_key_can_be_written_in_the_usual_ways(tmp_path: Path, write: object) -> None:
    key = secrets.token_bytes(32)

    ring = load_ring(settings_of(tmp_path, HUB_MASTER_KEY=write(key)))  # type: ignore[operator]

    assert ring.keys[0][1] == key and not (tmp_path / "master.key").exists()


@pytest.mark.parametrize("text", ["short", "x" * 43 + "!", "0" * 63, base64.b64encode(bytes(33)).decode()])
def test_a_given_key_that_is_none_is_refused_without_being_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(VaultError, match="HUB_MASTER_KEY") as refusal:
        load_ring(settings_of(tmp_path, HUB_MASTER_KEY=text))
    assert text not in str(refusal.value)


def test_on_blocklet_server_the_key_is_derived_and_another_apps_differs(tmp_path: Path) -> None:
    one, same, other = (
        load_ring(settings_of(tmp_path, BLOCKLET_APP_EK=ek, BLOCKLET_DID=did))
        for ek, did in (("ek", "did1"), ("ek", "did1"), ("ek", "did2"))
    )

    assert one == same and one.keys != other.keys
