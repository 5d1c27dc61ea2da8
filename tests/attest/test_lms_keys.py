# SPDX-License-Identifier: Apache-2.0
"""An LMS key never uses a leaf twice: not after a crash, not in two processes, not at its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from attest import lms_keys
from attest.keys import KeyFileError
from firmware.image.lms import SIGNATURE_SIZE, SIGNATURES, LmsError, LmsPublicKey
from tests.lms import make_lms_key

ROOT = Path(__file__).parents[2]
DIGEST = bytes(range(32))


def leaf_of(signature: bytes) -> int:
    return int.from_bytes(signature[:4], "big")


def next_leaf(path: Path) -> int:
    return int(json.loads(path.read_bytes())["next"])


def with_next(path: Path, leaf: int) -> None:
    document = json.loads(path.read_bytes()) | {"next": leaf}
    path.write_text(json.dumps(document))


def test_each_signature_has_a_leaf_of_its_own(tmp_path: Path) -> None:
    key = make_lms_key(tmp_path / "lms.key", real=4)
    signatures = [key.sign_digest(DIGEST) for _ in range(4)]
    assert [leaf_of(signature) for signature in signatures] == [0, 1, 2, 3]
    assert all(len(signature) == SIGNATURE_SIZE for signature in signatures)
    assert all(key.public_key.is_signature(DIGEST, signature) for signature in signatures)
    assert lms_keys.load(key.path).remaining == SIGNATURES - 4


def test_signer_killed_at_every_place_reuses_no_leaf(tmp_path: Path) -> None:
    key = make_lms_key(tmp_path / "lms.key", real=60)
    command = [sys.executable, "-m", "tests.attest.lms_killed", str(key.path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    lives = [line.split() for line in result.stdout.splitlines()]
    left = [(int(leaf), int(after)) for leaf, after in lives if leaf != "-"]
    states = [int(after) for _, after in lives]
    print(f"killed at {len(lives) - 1} places, {states[-1]} leaves used, {len(left)} left")
    assert len(lives) > 60
    assert states == sorted(states)
    assert 0 < len(left) < states[-1]
    assert len({leaf for leaf, _ in left}) == len(left), "a leaf was used twice"
    # Whoever comes next begins behind it.
    assert all(leaf < after for leaf, after in left)


def test_leaf_is_used_up_on_the_disk_before_a_signature_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make_lms_key(tmp_path / "lms.key", real=1)
    done: list[str] = []

    def noted(name: str, real: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            result = real(*arguments, **options)
            done.append(f"{name} {next_leaf(key.path)}")
            return result

        return call

    monkeypatch.setattr(os, "fsync", noted("fsync", os.fsync))
    monkeypatch.setattr(Path, "replace", noted("replace", Path.replace))
    monkeypatch.setattr(lms_keys, "_signature", noted("sign", lms_keys._signature))
    key.sign_digest(DIGEST)
    # The new file, its name, the folder; then the one-time key is touched for the first time.
    assert done == ["fsync 0", "replace 1", "fsync 1", "sign 1"]


def test_two_who_sign_at_once_use_different_leaves(tmp_path: Path) -> None:
    path = make_lms_key(tmp_path / "lms.key").path
    with ThreadPoolExecutor(8) as pool:
        signatures = list(pool.map(lambda _: lms_keys.load(path).sign_digest(DIGEST), range(16)))
    assert sorted(map(leaf_of, signatures)) == list(range(16))


def test_signer_waits_for_the_one_that_holds_the_lock(tmp_path: Path) -> None:
    key = make_lms_key(tmp_path / "lms.key", real=2)
    with ThreadPoolExecutor(1) as pool:
        with lms_keys._alone(key.path):
            waiting = pool.submit(key.sign_digest, DIGEST)
            with pytest.raises(TimeoutError):
                waiting.result(0.2)
            with_next(key.path, 1)  # what the holder of the lock does meanwhile counts
        assert leaf_of(waiting.result(60)) == 1


def test_used_up_key_says_so_and_stays_used_up(tmp_path: Path) -> None:
    key = make_lms_key(tmp_path / "lms.key", real=1)
    with_next(key.path, SIGNATURES)
    before = key.path.read_bytes()
    for _ in range(2):
        with pytest.raises(KeyFileError, match="has made its 1024 signatures") as error:
            key.sign_digest(DIGEST)
        assert error.value.exit_code == 2
    assert lms_keys.load(key.path).remaining == 0
    assert key.path.read_bytes() == before


def test_nothing_is_signed_where_the_state_cannot_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make_lms_key(tmp_path / "lms.key", real=1)
    signed: list[int] = []
    monkeypatch.setattr(lms_keys, "_signature", lambda *_: signed.append(1))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(lms_keys, "write_secret", full)
    with pytest.raises(KeyFileError, match="nothing was signed") as error:
        key.sign_digest(DIGEST)
    assert error.value.exit_code == 3
    assert not signed
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".lock"] == ["lms.key"]


def test_false_signature_never_leaves(tmp_path: Path) -> None:
    """Behind the leaves that are real the file is noise, as a damaged one is."""
    key = make_lms_key(tmp_path / "lms.key", real=1)
    key.sign_digest(DIGEST)
    with pytest.raises(KeyFileError, match="false signature"):
        key.sign_digest(DIGEST)
    assert next_leaf(key.path) == 2, "that leaf is lost"


def test_key_file_is_its_owners_alone(tmp_path: Path) -> None:
    key = make_lms_key(tmp_path / "lms.key", real=2)
    assert key.path.stat().st_mode & 0o777 == 0o600
    key.sign_digest(DIGEST)
    assert key.path.stat().st_mode & 0o777 == 0o600
    key.path.chmod(0o640)
    with pytest.raises(KeyFileError, match="others can read the key"):
        key.sign_digest(DIGEST)
    with pytest.raises(KeyFileError, match="others can read the key"):
        lms_keys.load(key.path)


def test_key_is_never_overwritten(tmp_path: Path) -> None:
    key = make_lms_key(tmp_path / "lms.key", real=1)
    before = key.path.read_bytes()
    with pytest.raises(KeyFileError, match="there is a key for lms already"):
        make_lms_key(key.path, b"another", real=1)
    with pytest.raises(KeyFileError, match="there is a key for lms already"):
        lms_keys.create("lms", tmp_path)
    assert key.path.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"next": -1}, "next"),
        ({"next": SIGNATURES + 1}, "next"),
        ({"next": "0"}, "next"),
        ({"seed": "00"}, "seed"),
        ({"identifier": "00" * 17}, "identifier"),
        ({"leaves": "AAAA"}, "leaves: are not 1024"),
        ({"leaves": "!"}, "leaves: are not base64"),
        ({"format": "coffret LMS key 2"}, "format"),
        ({"more": 1}, "more"),
    ],
)
def test_malformed_key_file_is_refused_without_its_secret(
    tmp_path: Path, change: dict[str, Any], what: str
) -> None:
    key = make_lms_key(tmp_path / "lms.key", real=1)
    document = json.loads(key.path.read_bytes())
    key.path.write_text(json.dumps(document | change))
    with pytest.raises(KeyFileError, match=what) as error:
        lms_keys.load(key.path)
    assert document["seed"] not in f"{error.value.message}{error.value.mend}{key!r}"


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "x" * (1 << 18)])
def test_file_that_is_no_key_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "lms.key"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileError):
        lms_keys.load(path)


def test_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="there is no LMS key"):
        lms_keys.load(tmp_path / "lms.key")


def test_public_key_survives_its_pem(tmp_path: Path) -> None:
    public = make_lms_key(tmp_path / "lms.key", real=1).public_key
    assert LmsPublicKey.from_pem(public.pem()) == public
    assert LmsPublicKey.from_raw(public.raw) == public
    damaged = public.pem().replace("MB", "AB", 1) if "MB" in public.pem() else "no key"
    for text in ("", damaged, public.pem() * 2, public.pem().replace("PUBLIC", "PRIVATE")):
        with pytest.raises(LmsError):
            LmsPublicKey.from_pem(text)
    for place in range(8):
        raw = bytearray(public.raw)
        raw[place] ^= 1
        with pytest.raises(LmsError):
            LmsPublicKey.from_raw(bytes(raw))


@pytest.mark.all
def test_real_key_can_use_every_leaf(tmp_path: Path) -> None:
    """All 1,024, a quarter of a minute to make and half of one to use up."""
    key = lms_keys.create("lms-real", tmp_path)
    for leaf in range(SIGNATURES):
        signature = key.sign_digest(DIGEST)
        assert leaf_of(signature) == leaf
    with pytest.raises(KeyFileError, match="1024 signatures"):
        key.sign_digest(DIGEST)
