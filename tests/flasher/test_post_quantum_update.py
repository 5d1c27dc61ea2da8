# SPDX-License-Identifier: Apache-2.0
"""What runs asks for the LMS signature of an update as boot does, and the whole update goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from attest import lms_keys
from firmware.image.reader import check_digest, read_image
from firmware.image.writer import add_lms_signature, tlv_area
from flasher.bundle import read_bundle
from flasher.reasons import Reason
from flasher.smp import wait_for
from flasher.virtual import VirtualBoard
from tests.flasher.operators import Operator, running_image
from tests.flasher.test_whole_path import NEW, OLD
from tests.lms import FixedLmsSigner, make_lms_key
from tests.qemu import needs_qemu

pytestmark = needs_qemu


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Operator:
    """Their boards ask for an LMS signature; both versions have one."""
    someone = Operator.new(tmp_path_factory)
    lms = make_lms_key(someone.folder / "lms.key", real=4)
    for version in (OLD, NEW):
        someone.build(someone.hello(version), version, "mps2-an385", "--lms-key", lms.path)
    return someone


@pytest.fixture
def board(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[VirtualBoard]:
    with operator.board(tmp_path / "board", monkeypatch) as running:
        yield running


def without_lms(image: bytes) -> bytes:
    """The image as only ECDSA signed it."""
    facts = check_digest(image)
    (signature,) = facts.signatures
    area = image[facts.hashed_size :]
    # Digest, and one pair of key hash and signature.
    end = 4 + 36 + 36 + 4 + len(signature.value)
    return image[: facts.hashed_size] + tlv_area(area[4:end])


def replayed(operator: Operator, image: bytes) -> bytes:
    """With the signature of the version that runs."""
    other = read_image(read_bundle(operator.bundle(OLD)).slot_image(1).data).lms
    key = lms_keys.load(operator.folder / "lms.key").public_key
    assert other is not None
    assert other.key_hash == key.key_hash
    return add_lms_signature(without_lms(image), FixedLmsSigner(key, other.value))


def refuses(operator: Operator, board: VirtualBoard, path: Path, forged: bytes) -> None:
    path.write_bytes(forged)
    done = operator.coffret("flash", path, "--port", board.port)
    assert done.returncode == 1, done.stdout
    assert Reason.POST_QUANTUM.words in done.stderr
    assert running_image(board) == (OLD, True)


def test_update_without_its_lms_signature_is_refused_and_with_it_taken(
    operator: Operator, board: VirtualBoard, tmp_path: Path
) -> None:
    assert running_image(board) == (OLD, True)
    image = read_bundle(operator.bundle(NEW)).slot_image(1).data
    refuses(operator, board, tmp_path / "forged.bin", without_lms(image))
    flashed = operator.document("flash", operator.bundle(NEW), "--port", board.port)
    assert (flashed["slot"], flashed["version"], flashed["previous"]) == ("B", NEW, OLD)
    assert running_image(board) == (NEW, True)
    board.power_cycle()
    wait_for(board.port, 60, lambda answering: answering.mode())
    assert running_image(board) == (NEW, True)


@pytest.mark.all
def test_update_with_the_lms_signature_of_what_runs_is_refused(
    operator: Operator, board: VirtualBoard, tmp_path: Path
) -> None:
    image = read_bundle(operator.bundle(NEW)).slot_image(1).data
    refuses(operator, board, tmp_path / "forged.bin", replayed(operator, image))


@pytest.mark.all
def test_such_a_board_is_provisioned_and_attested(operator: Operator, board: VirtualBoard) -> None:
    operator.document("provision", "--port", board.port)
    bundle = operator.bundle(OLD)
    good = operator.document("attest", "--port", board.port, "--bundle", bundle)
    assert good["verdict"] == "trusted"
