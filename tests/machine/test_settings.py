# SPDX-License-Identifier: Apache-2.0
"""Settings: given to one board, read by who was granted them, fixed once the board is secured."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

import boards
from attest import certificate, keys, open_inventory, p256, psa_token
from boards.errors import CoffretError
from enclaves import cose
from firmware.appliance.manifest_file import load
from firmware.bundle.folder import Bundle
from firmware.planning.fit import board_problems
from flasher import settings
from flasher.errors import RefusedError
from flasher.messages import SETTINGS_MAX, GroupError
from flasher.provision import provision
from flasher.smp import Board
from tests.attest.cddl import schema
from tests.machine.bench import Running, build_for, running, write_appliance
from tests.qemu import needs_qemu

READER = """
import enclave

for name in ("room", "roo", "empty", "words"):
    enclave.log("{} {!r}".format(name, enclave.setting(name)))
enclave.log("done")
"""
STRANGER = """
import enclave

try:
    enclave.setting("room")  # type: ignore[arg-type]
except ValueError as error:
    enclave.log("refused {}".format(error))
"""
GIVEN = {"room": "attic", "room2": "cellar", "empty": "", "words": "a=b, ü"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    directory = tmp_path_factory.mktemp("settings")
    enclaves = {"reader": (("settings",), READER), "stranger": ((), STRANGER)}
    appliance = write_appliance(directory / "source", enclaves)
    return build_for("mps2-an385", appliance, directory)


@pytest.fixture
def board(bundle: Bundle, tmp_path: Path) -> Iterator[Running]:
    with running(bundle, tmp_path) as board:
        board.until(lambda now: "done" in now.said("reader"))
        yield board


@needs_qemu
def test_who_was_granted_settings_reads_them_after_the_reset(board: Running) -> None:
    port = board.virtual.port
    assert board.said("reader")[:-1] == [f"{n} None" for n in ("room", "roo", "empty", "words")]
    assert settings.give(port, GIVEN)
    assert not settings.give(port, GIVEN), "what it holds is not written again"
    assert settings.read(port) == GIVEN
    with Board.open(port) as link:
        link.reset()
    board.entries.clear()
    board.until(lambda now: "done" in now.said("reader") and now.said("stranger"))
    said = board.said("reader")
    assert said[:-1] == ["room 'attic'", "roo None", "empty ''", "words 'a=b, ü'"]
    assert board.said("stranger") == ["refused settings are not granted to this enclave"]


@needs_qemu
def test_a_secured_board_keeps_its_settings_whoever_has_the_cable(
    board: Running, tmp_path: Path
) -> None:
    port = board.virtual.port
    settings.give(port, {"room": "attic"})
    operator = keys.load_or_create("operator", tmp_path / "keys").private
    inventory = open_inventory(str(tmp_path / "inventory.sqlite"))
    provision(port, operator, inventory, "kitchen", lambda _: None)
    inventory.close()
    with pytest.raises(RefusedError, match="secured, and its settings are fixed") as refused:
        settings.give(port, {"room": "cellar"})
    assert refused.value.exit_code == 1
    with Board.open(port) as link:
        for text in ("", "room=cellar\n", "room=attic\n"):
            with pytest.raises(RefusedError) as denied:
                link.set_settings(text)
            assert denied.value.code == GroupError.ACCESS_DENIED
    assert settings.read(port) == {"room": "attic"}
    assert not settings.give(port, {"room": "attic"}), "the same again is no change"


@needs_qemu
def test_the_evidence_tells_a_digest_of_what_the_board_was_given(board: Running) -> None:
    port = board.virtual.port

    def told() -> str:
        with Board.open(port) as link:
            token = link.evidence(bytes(32)).token
        schema("evidence").validate_cbor(cose.read1(token).payload)
        claimed = psa_token.verify(token, _alias(port)).settings
        assert claimed is not None
        return claimed.hex()

    assert told() == settings.digest({})
    settings.give(port, GIVEN)
    assert told() == settings.digest(GIVEN)
    settings.give(port, {**GIVEN, "room": "cellar"})
    assert told() == settings.digest({**GIVEN, "room": "cellar"}) != settings.digest(GIVEN)
    whole = "x" * SETTINGS_MAX
    with Board.open(port) as link:
        link.set_settings(whole)
    assert told() == hashlib.sha256(whole.encode()).hexdigest()


def _alias(port: str) -> p256.PublicKey:
    with Board.open(port) as link:
        return certificate.read(link.evidence(bytes(32)).certificate).alias_key


@needs_qemu
def test_a_text_that_is_too_long_is_refused_whole(board: Running) -> None:
    port = board.virtual.port
    settings.give(port, {"room": "attic"})
    with Board.open(port) as link:
        with pytest.raises(RefusedError) as refused:
            link.set_settings("x" * (SETTINGS_MAX + 1))
        assert refused.value.code == GroupError.INVALID
        link.set_settings("x" * SETTINGS_MAX)
        assert link.settings() == "x" * SETTINGS_MAX
    assert settings.read(port) == {}


@given(st.dictionaries(st.from_regex(settings.NAME, fullmatch=True), st.text(max_size=40)))
def test_what_is_encoded_is_decoded_or_refused(wanted: dict[str, str]) -> None:
    try:
        text = settings.encode(wanted)
    except CoffretError as error:
        assert error.exit_code == 2
        return
    assert settings.decode(text) == wanted
    assert len(text.encode()) <= SETTINGS_MAX


@given(st.text())
def test_whatever_a_board_says_is_decoded(text: str) -> None:
    assert all(settings.NAME.fullmatch(name) for name in settings.decode(text))


def test_bad_settings_are_errors_in_words() -> None:
    for wanted, words in (
        ({"a\nb": "x"}, "no name of a setting"),
        ({"a": "x\ny=z"}, "not one line"),
        ({"a": "x" * 600}, "a board has room for 512"),
    ):
        with pytest.raises(settings.SettingsError, match=words):
            settings.encode(wanted)
    with pytest.raises(settings.SettingsError, match="is no setting"):
        settings.parse(["room"])


def test_an_enclave_that_takes_only_what_is_vouched_for_cannot_have_settings(
    tmp_path: Path,
) -> None:
    folder = write_appliance(tmp_path, {"reader": (("settings",), READER)})
    text = (folder / "appliance.toml").read_text()
    text += 'trusts = ["checked"]\n[owner.me]\nkey = "me.pem"\n'
    text += '[tag.checked]\nsays = "checked words"\nowner = ["me"]\n'
    (folder / "appliance.toml").write_text(text)
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / "me.pem").write_bytes(key.public_bytes(*form))
    found = board_problems(load(folder), boards.load("mps2-an385"))
    assert any("settings are not" in problem.what for problem in found)
