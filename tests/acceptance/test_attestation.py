# SPDX-License-Identifier: Apache-2.0
"""A good board is trusted; each difference is named. All through the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from attest import device_log, keys, psa_token
from enclaves import cose
from flasher.bundle import read_bundle
from flasher.logs import read as read_log
from flasher.run import board_of
from flasher.smp import Board
from tests.acceptance.conftest import DIARY, User
from tests.attest.cddl import schema
from tests.attest.simulated_device import private_key


@contextmanager
def switched_on(user: User, bundle: Path, state: Path) -> Iterator[str]:
    """The board that `state` keeps, running `bundle`'s boot; gives its port."""
    with board_of(read_bundle(bundle), state=state, root=user.home) as board:
        yield board.port


@pytest.fixture(scope="module")
def state(user: User, diary: Path) -> Path:
    """A provisioned board, switched off."""
    folder = user.home / "kitchen"
    with switched_on(user, diary, folder) as port:
        answer = user.coffret("provision", "--port", port, "--name", "kitchen")
    assert answer.code == 0, answer.err
    return folder


def test_a_good_board_is_trusted(user: User, diary: Path, state: Path) -> None:
    with switched_on(user, diary, state) as port:
        answer = user.coffret("attest", "--port", port, "--bundle", diary, "--json")
    assert answer.code == 0, answer.err
    assert all(answer.claims().values())


def test_whose_reference_values_they_are_is_checked_and_said(
    user: User, diary: Path, state: Path, tmp_path: Path
) -> None:
    theirs, empty = tmp_path / "theirs.pem", tmp_path / "no-keys"
    theirs.write_text(keys.public_pem(private_key(3).public_key()))
    ours = tmp_path / "ours.pem"
    ours.write_text(user.coffret("keys", "public", "signing").out)
    with switched_on(user, diary, state) as port:
        asked = ("attest", "--port", port, "--bundle", diary)
        own = user.coffret(*asked)
        named = user.coffret(*asked, "--signing-key", ours, "--json")
        foreign = user.coffret(*asked, "--signing-key", theirs)
        blind = user.coffret(*asked, "--keys", empty, "--json")
    assert (own.code, named.code) == (0, 0)
    assert "reference values: signed by" in own.out
    assert json.loads(named.out)["reference_values"]["checked"]
    assert (foreign.code, foreign.out) == (1, "")
    assert "does not verify with this key" in foreign.err
    assert json.loads(blind.out)["reference_values"] == {"checked": False, "signer": None}


def test_a_board_never_endorsed_is_not_trusted(user: User, diary: Path) -> None:
    with switched_on(user, diary, user.home / "stranger") as port:
        answer = user.coffret("attest", "--port", port, "--bundle", diary, "--json")
    assert answer.code == 1
    assert "endorsement" in answer.differing()


def test_another_image_is_named(user: User, diary: Path, state: Path) -> None:
    newer = user.build(user.variant("newer", '"1.0.0"', '"1.0.1"'), "newer")
    with switched_on(user, diary, state) as port:
        answer = user.coffret("attest", "--port", port, "--bundle", newer, "--json")
    assert answer.code == 1
    assert "appliance" in answer.differing()
    assert "policy" not in answer.differing()


def test_another_policy_is_named(user: User) -> None:
    """Equal code, down to the monitor's: a channel to a sink that accepts tags may not answer, so
    both say so of theirs.
    """
    channel = "size = 96", 'size = 96\nkind = "emit"'
    narrow = user.build(user.variant("narrow", *channel), "narrow")
    source = user.variant("open", *channel)
    manifest = source / "appliance.toml"
    manifest.write_text(manifest.read_text().replace("accepts = []", 'accepts = ["alice/health"]'))
    wide = user.build(source, "open")
    with switched_on(user, narrow, user.home / "narrow-board") as port:
        assert user.coffret("provision", "--port", port).code == 0
        asked = ("attest", "--port", port, "--bundle", wide, "--flows", narrow, "--json")
        answer = user.coffret(*asked)
    assert answer.code == 1
    assert answer.differing() == {"appliance", "policy"}
    why = next(c["why"] for c in json.loads(answer.out)["claims"] if c["claim"] == "policy")
    assert "alice/health" in why
    assert "usb" in why


def test_a_policy_that_lists_the_flows_is_asked(user: User, diary: Path, state: Path) -> None:
    flow = '[[flow]]\ntag = "alice/health"\nto = "usb"\nthrough = "coach.weekly"\n'
    narrow, wide = user.home / "narrow.toml", user.home / "wide.toml"
    wide.write_text(f'versions = ["1.0.0"]\nmaximum_age = "1 min"\n{flow}')
    narrow.write_text(flow.replace("usb", "uart2"))
    with switched_on(user, diary, state) as port:
        asked = ("attest", "--port", port, "--bundle", diary, "--json", "--policy")
        good, bad = user.coffret(*asked, wide), user.coffret(*asked, narrow)
    assert good.code == 0, good.out
    assert {"version", "age", "flows"} <= set(good.claims())
    assert bad.code == 1
    assert bad.differing() == {"flows"}


def test_one_enclave_is_reported_on(user: User, diary: Path, state: Path) -> None:
    """Over the same nonce and key: its code, its labels, its gates and what they have used."""
    with switched_on(user, diary, state) as port:
        asked = ("attest", "--port", port, "--bundle", diary, "--json", "--enclave")
        answer, nobody = user.coffret(*asked, "coach"), user.coffret(*asked, "nobody")
    assert answer.code == 0, answer.err
    told = json.loads(answer.out)["enclave"]
    assert told["enclave"] == "coach"
    assert told["secrecy"] == ["alice/health"]
    (gate,) = told["gates"]
    assert (gate["gate"], gate["at_most"], gate["bytes"]) == ("coach.weekly", 1, 16)
    assert gate["used"] in (0, 1)
    assert nobody.code != 0


def test_the_evidence_has_the_digest_of_the_log(user: User, diary: Path, state: Path) -> None:
    with switched_on(user, diary, state) as port, Board.open(port, timeout_s=20) as board:
        health = psa_token.read(board.evidence(bytes(32)).token).health
        entries = [(e.sequence, e.ms, e.who, e.text) for e in read_log(board)]
    assert health.log_next > health.log_first
    assert device_log.matches(health, entries)
    sequence, ms, who, text = entries[0]
    assert not device_log.matches(health, [(sequence, ms, who, text + "!"), *entries[1:]])
    assert device_log.matches(health, entries[1:]) is None


def test_the_evidence_is_as_the_published_schema_says(user: User, diary: Path, state: Path) -> None:
    with switched_on(user, diary, state) as port, Board.open(port, timeout_s=30) as board:
        tokens = [board.evidence(bytes(32)).token, board.evidence(bytes(64), "coach").token]
    for token in tokens:
        schema("evidence").validate_cbor(cose.read1(token).payload)
    assert [psa_token.read(token).subject is None for token in tokens] == [True, False]


def test_another_signing_key_is_named(user: User, diary: Path) -> None:
    """The same appliance, signed by somebody else, on a board whose boot lets them."""
    assert user.coffret("keys", "new", "signing", "--keys", user.home / "theirs").code == 0
    key = user.home / "theirs" / "signing.pem"
    theirs = user.build(DIARY, "theirs-diary", "--key", key)
    with switched_on(user, theirs, user.home / "taken-over") as port:
        assert user.coffret("provision", "--port", port).code == 0
        answer = user.coffret("attest", "--port", port, "--bundle", diary, "--json")
    assert answer.code == 1
    assert {"signing key", "boot"} <= answer.differing()
    assert "policy" not in answer.differing()


def test_a_replayed_nonce_is_named(user: User, diary: Path, state: Path) -> None:
    kept = user.home / "evidence.cbor"
    with switched_on(user, diary, state) as port:
        first = user.coffret("attest", "--port", port, "--bundle", diary, "--save", kept)
    assert first.code == 0, first.err
    again = user.coffret("verify", kept, "--nonce", "00" * 32, "--bundle", diary, "--json")
    assert again.code == 1
    assert "nonce" in again.differing()
