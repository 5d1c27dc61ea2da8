# SPDX-License-Identifier: Apache-2.0
"""`coffret flash` against boot's recovery: what it refuses, with what status, in which words."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from flasher.bundle import FACTS_FILE, Bundle, parse_image, read_bundle
from flasher.demo.forgery import flip_bit, strip_signature
from flasher.errors import BadFileError
from flasher.reasons import Reason
from flasher.smp import Board
from flasher.virtual import VirtualBoard
from tests.boot.device import Kit

pytestmark = pytest.mark.usefixtures("runtime")

ROOT = Path(__file__).parents[2]


def _coffret(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "coffret", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def _forged(kit: Kit) -> dict[Reason, bytes]:
    good = kit.image(0)
    stranger = ec.derive_private_key(0x5EED, ec.SECP256R1())
    return {
        Reason.HASH: flip_bit(good),
        Reason.NO_SIGNATURE: strip_signature(good),
        Reason.KEY: kit.image(0, key=stranger),
    }


@pytest.mark.parametrize("reason", [Reason.HASH, Reason.NO_SIGNATURE, Reason.KEY])
def test_a_forged_image_is_refused_in_the_words_of_its_reason(
    boot_kit: Kit, blank_board: VirtualBoard, tmp_path: Path, reason: Reason
) -> None:
    (tmp_path / "forged.bin").write_bytes(_forged(boot_kit)[reason])
    done = _coffret("flash", tmp_path / "forged.bin", "--port", blank_board.port)
    assert done.returncode == 1
    assert reason.words in done.stderr
    assert f"mend: {reason.mend}" in done.stderr
    assert done.stdout == ""


def test_a_good_image_arrives_in_slot_a(boot_kit: Kit, blank_board: VirtualBoard) -> None:
    image = boot_kit.image(0)
    with Board.open(blank_board.port) as board:
        assert board.refusal() is Reason.NO_IMAGE, "it is why boot is in recovery"
        board.upload(image)
        (slot,) = board.images()
    assert (slot.slot, slot.version, slot.digest) == (0, "1.0.0", parse_image(image).digest)
    offset = boot_kit.board.flash.slot_a.offset
    assert blank_board.flash.read_bytes()[offset:][: len(image)] == image


def test_a_port_that_is_not_there_is_status_3(payload_bundle: Bundle) -> None:
    done = _coffret("flash", payload_bundle.folder, "--port", "/dev/there-is-no-such-port")
    assert done.returncode == 3
    assert "mend: " in done.stderr


def test_no_board_at_all_is_status_3(payload_bundle: Bundle) -> None:
    done = _coffret("flash", payload_bundle.folder)
    assert done.returncode == 3
    assert "coffret run" in done.stderr


def test_a_file_that_is_no_image_is_status_2(tmp_path: Path, blank_board: VirtualBoard) -> None:
    (tmp_path / "notes.txt").write_text("not an image" * 10)
    done = _coffret("flash", tmp_path / "notes.txt", "--port", blank_board.port)
    assert done.returncode == 2
    assert "notes.txt" in done.stderr


def test_recovery_cannot_attest_or_be_provisioned(
    blank_board: VirtualBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COFFRET_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("COFFRET_INVENTORY", str(tmp_path / "inventory"))
    for verb in ("attest", "provision"):
        done = _coffret(verb, "--port", blank_board.port)
        assert done.returncode == 1
        assert "in recovery" in done.stderr
        assert "coffret flash" in done.stderr


def test_devices_lists_the_board_as_one_json_document(blank_board: VirtualBoard) -> None:
    done = _coffret("devices", "--json")
    (found,) = [port for port in json.loads(done.stdout) if port["kind"] == "virtual"]
    assert found["path"] == blank_board.port
    assert found["name"] == blank_board.run.name


@pytest.mark.parametrize("cut", [0, 31, 0x200, -1, -40, -200])
def test_an_image_cut_short_has_no_digest_to_flash_by(boot_kit: Kit, cut: int) -> None:
    with pytest.raises(ValueError, match=r"TLV|short"):
        parse_image(boot_kit.image(0)[:cut])


def test_a_bundle_cannot_point_outside_of_itself(payload_bundle: Bundle, tmp_path: Path) -> None:
    facts = json.loads((payload_bundle.folder / FACTS_FILE).read_text())
    facts["files"]["slot_a"] = "../../etc/passwd"
    (tmp_path / FACTS_FILE).write_text(json.dumps(facts))
    with pytest.raises(BadFileError, match="outside"):
        read_bundle(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": 1}', "{" * 10, '"x"'])
def test_a_malformed_bundle_is_refused_with_its_file_named(tmp_path: Path, text: str) -> None:
    (tmp_path / FACTS_FILE).write_text(text)
    with pytest.raises(BadFileError, match=FACTS_FILE):
        read_bundle(tmp_path)
