# SPDX-License-Identifier: Apache-2.0
"""Key files: private from the first byte, never overwritten, never shown."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from attest import keys, p256


def test_new_key_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "keys"
    key = keys.create("operator", folder)
    assert key.created
    assert stat.S_IMODE(key.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.name for path in folder.iterdir()] == ["operator.pem"]
    again = keys.load("operator", folder)
    assert again.key_hash == key.key_hash
    assert not again.created


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620, 0o601])
def test_key_that_others_may_touch_is_refused_with_the_mend(tmp_path: Path, mode: int) -> None:
    key = keys.create("signing", tmp_path)
    key.path.chmod(mode)
    with pytest.raises(keys.KeyFileError) as caught:
        keys.load("signing", tmp_path)
    assert "others can read" in caught.value.message
    assert caught.value.mend.startswith("chmod 600 ")


def test_key_is_never_overwritten(tmp_path: Path) -> None:
    first = keys.create("signing", tmp_path)
    with pytest.raises(keys.KeyFileError, match="already"):
        keys.create("signing", tmp_path)
    assert keys.load("signing", tmp_path).key_hash == first.key_hash


def test_load_or_create_makes_one_key_even_when_many_ask_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: keys.load_or_create("signing", tmp_path), range(16)))
    assert len({key.key_hash for key in made}) == 1
    assert sum(key.created for key in made) == 1


def test_missing_key_names_the_verb_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(keys.KeyFileError) as caught:
        keys.load("operator", tmp_path)
    assert caught.value.mend == "coffret keys new operator"


@pytest.mark.parametrize(
    "role", ["", "root", "owner-", "owner-A", "owner-../x", "../operator", "owner-" + "a" * 33]
)
def test_unknown_role_is_refused_before_any_file(tmp_path: Path, role: str) -> None:
    with pytest.raises(keys.KeyFileError, match="no key role"):
        keys.load_or_create(role, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("role", ["signing", "operator", "owner-alice", "owner-bob_2"])
def test_known_roles(tmp_path: Path, role: str) -> None:
    keys.create(role, tmp_path)
    assert keys.present(tmp_path) == [role]


def test_files_that_are_no_keys_are_refused_without_quoting_them(tmp_path: Path) -> None:
    path = keys.path_of("operator", tmp_path)
    path.write_text("-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n")
    path.chmod(0o600)
    with pytest.raises(keys.KeyFileError) as caught:
        keys.load("operator", tmp_path)
    assert "secret" not in caught.value.message + caught.value.mend
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "other", [ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()]
)
def test_keys_of_another_kind_are_refused(
    tmp_path: Path, other: ec.EllipticCurvePrivateKey
) -> None:
    path = keys.path_of("operator", tmp_path)
    path.write_bytes(
        other.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    path.chmod(0o600)
    with pytest.raises(keys.KeyFileError, match="not a P-256 key"):
        keys.load("operator", tmp_path)


def test_representation_of_a_key_shows_no_secret(tmp_path: Path) -> None:
    key = keys.create("operator", tmp_path)
    secret = f"{key.private.private_numbers().private_value:x}"
    assert secret not in repr(key)
    assert "private" not in repr(key)


def test_public_key_travels_as_pem(tmp_path: Path) -> None:
    key = keys.create("operator", tmp_path)
    path = tmp_path / "public.pem"
    path.write_text(keys.public_pem(key.public))
    assert p256.xy(keys.load_public(path)) == p256.xy(key.public)
    with pytest.raises(keys.KeyFileError, match="a private key, where the public one belongs"):
        keys.load_public(key.path)
    with pytest.raises(keys.KeyFileError, match="cannot read"):
        keys.load_public(tmp_path / "missing.pem")


def test_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("COFFRET_KEYS", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert keys.path_of("signing") == tmp_path / "coffret" / "keys" / "signing.pem"
    monkeypatch.setenv("COFFRET_KEYS", str(tmp_path / "elsewhere"))
    assert keys.path_of("signing") == tmp_path / "elsewhere" / "signing.pem"
