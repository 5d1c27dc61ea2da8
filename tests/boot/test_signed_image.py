# SPDX-License-Identifier: Apache-2.0
"""Signed images: reproducible, readable by MCUboot's own tool, refused when anything is changed."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

import boards
from boards.errors import CoffretError
from firmware.image.format import ImageError, Version
from firmware.image.reader import check_lms, read_image, verify_image
from firmware.image.signer import LocalSigner
from firmware.image.writer import ImageContent, add_lms_signature, wrap_image
from tests.lms import FixedLmsSigner, make_lms_key

BOARD = boards.load("mps2-an385")
KEY = ec.derive_private_key(0x1317, ec.SECP256R1())
OTHER = ec.derive_private_key(0x1318, ec.SECP256R1())
CONTENT = ImageContent(
    Version.parse("1.2.3+4"),
    7,
    hashlib.sha256(b"policy").digest(),
    hashlib.sha256(b"sbom").digest(),
)
BODY = bytes(range(256)) * 8
IMAGE = wrap_image(BODY, 0, BOARD, CONTENT, LocalSigner(KEY))


def imgtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """MCUboot's tool, as its users run it."""
    command = [sys.executable, "-m", "imgtool.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def public_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "public.pem"
    pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    path.write_bytes(pem)
    return path


def test_image_reproduces_bit_for_bit() -> None:
    assert wrap_image(BODY, 0, BOARD, CONTENT, LocalSigner(KEY)) == IMAGE


def test_image_says_what_was_put_in() -> None:
    facts = verify_image(IMAGE, KEY.public_key(), BOARD, 0)
    assert facts.body == BODY
    assert str(facts.version) == "1.2.3+4"
    assert facts.security_counter == 7
    assert facts.address == BOARD.slot(0).base
    assert facts.policy_digest == CONTENT.policy_digest
    assert facts.sbom_digest == CONTENT.sbom_digest
    assert facts.board == BOARD.name
    assert facts.size == len(IMAGE)


def test_wrapping_says_nothing_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    wrap_image(BODY, 1, BOARD, CONTENT, LocalSigner(KEY))
    assert capsys.readouterr().out == ""


def test_imgtool_accepts_the_image(public_key: Path, tmp_path: Path) -> None:
    path = tmp_path / "image.bin"
    path.write_bytes(IMAGE)
    result = imgtool("verify", "-k", public_key, path)
    assert result.returncode == 0, result.stderr
    assert "Image version: 1.2.3+4" in result.stdout
    assert read_image(IMAGE).digest.hex() in result.stdout


def test_imgtool_accepts_the_image_with_an_lms_signature(public_key: Path, tmp_path: Path) -> None:
    """What it does not know in the unprotected area it passes over."""
    key = make_lms_key(tmp_path / "lms.key", real=1)
    path = tmp_path / "image.bin"
    path.write_bytes(add_lms_signature(IMAGE, key))
    result = imgtool("verify", "-k", public_key, path)
    assert result.returncode == 0, result.stderr
    assert read_image(IMAGE).digest.hex() in result.stdout
    facts = verify_image(path.read_bytes(), KEY.public_key(), BOARD, 0)
    check_lms(facts, [key.public_key])


def test_lms_signature_of_another_image_or_key_is_refused(tmp_path: Path) -> None:
    key = make_lms_key(tmp_path / "lms.key", real=2)
    other = make_lms_key(tmp_path / "lms-other.key", b"other", real=1)
    image = add_lms_signature(IMAGE, key)
    facts = read_image(image)
    assert facts.lms is not None
    elsewhere = wrap_image(BODY, 1, BOARD, CONTENT, LocalSigner(KEY))
    replayed = add_lms_signature(elsewhere, FixedLmsSigner(key.public_key, facts.lms.value))
    for data, keys, what in (
        (image, [other.public_key], "by another key"),
        (image, [], "by another key"),
        (IMAGE, [key.public_key], "no LMS signature"),
        (replayed, [key.public_key], "LMS signature is wrong"),
    ):
        with pytest.raises(ImageError, match=what):
            check_lms(verify_image(data, KEY.public_key()), keys)
    with pytest.raises(ImageError, match="it has an LMS signature"):
        add_lms_signature(image, key)


def test_imgtool_refuses_a_changed_image(public_key: Path, tmp_path: Path) -> None:
    """In everything that is signed, and in digest and signature themselves.

    imgtool does not look at KEYHASH nor at the upper byte of a TLV's type; we and boot do.
    """
    facts = read_image(IMAGE)
    draw = random.Random(2)
    places = [draw.randrange(facts.hashed_size) for _ in range(4)]
    places += [facts.hashed_size + 8 + draw.randrange(32), len(IMAGE) - 1 - draw.randrange(64)]
    path = tmp_path / "image.bin"
    for place in places:
        changed = bytearray(IMAGE)
        changed[place] ^= 1 << draw.randrange(8)
        path.write_bytes(changed)
        result = imgtool("verify", "-k", public_key, path)
        assert result.returncode != 0 or "correctly validated" not in result.stdout, place


def test_imgtool_refuses_another_key(tmp_path: Path) -> None:
    path, key = tmp_path / "image.bin", tmp_path / "other.pem"
    path.write_bytes(IMAGE)
    public = OTHER.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    key.write_bytes(public)
    assert imgtool("verify", "-k", key, path).returncode != 0


def test_every_bit_flip_is_refused() -> None:
    """Header and both TLV areas bit by bit, the body by samples."""
    draw = random.Random(3)
    tail = 0x200 + len(BODY)
    places = [*range(0x40), *range(tail, len(IMAGE)), *(draw.randrange(tail) for _ in range(40))]
    for place in places:
        for bit in range(8):
            changed = bytearray(IMAGE)
            changed[place] ^= 1 << bit
            with pytest.raises(ImageError):
                verify_image(bytes(changed), KEY.public_key(), BOARD, 0)


@pytest.mark.parametrize("more", [b"\0", b"\xff" * 4, IMAGE[-152:]])
def test_trailing_bytes_are_refused(more: bytes) -> None:
    with pytest.raises(ImageError):
        read_image(IMAGE + more)


@given(st.integers(0, len(IMAGE) - 1))
@settings(max_examples=60, deadline=None)
def test_cut_image_is_refused(length: int) -> None:
    with pytest.raises(ImageError):
        read_image(IMAGE[:length])


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_any_bytes_give_facts_or_an_image_error(data: st.DataObject) -> None:
    changed = bytearray(IMAGE)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.sampled_from([*range(32), *range(0x200 + len(BODY), len(IMAGE))]))
        changed[place] = data.draw(st.integers(0, 255))
    try:
        facts = read_image(bytes(changed))
    except ImageError:
        return
    assert facts.hashed_size <= len(changed)


def test_other_board_slot_and_key_are_named() -> None:
    elsewhere = BOARD.model_copy(update={"name": "elsewhere"})
    with pytest.raises(ImageError, match="another key"):
        verify_image(IMAGE, OTHER.public_key())
    with pytest.raises(ImageError, match="for the board mps2-an385, not elsewhere"):
        verify_image(IMAGE, KEY.public_key(), elsewhere)
    with pytest.raises(ImageError, match="not for slot B"):
        verify_image(IMAGE, KEY.public_key(), BOARD, 1)


def test_image_larger_than_its_slot_is_not_made() -> None:
    with pytest.raises(ImageError) as error:
        wrap_image(bytes(BOARD.slot(0).size), 0, BOARD, CONTENT, LocalSigner(KEY))
    assert error.value.exit_code == 2


@pytest.mark.parametrize("text", ["", "1.2", "1.2.3", "1.2.3+4", "255.255.65535+4294967295"])
def test_versions_that_fit_are_read(text: str) -> None:
    if text:
        assert str(Version.parse(text)).startswith(text.partition("+")[0])
    else:
        with pytest.raises(ImageError):
            Version.parse(text)


@pytest.mark.parametrize("text", ["1.2.x", "01.2.3", "256.0.0", "1.256.0", "1.2.65536", "v1.2.3"])
def test_versions_that_do_not_fit_are_refused(text: str) -> None:
    with pytest.raises(CoffretError, match="version"):
        Version.parse(text)
