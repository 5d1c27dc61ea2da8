# SPDX-License-Identifier: Apache-2.0
"""A good board is trusted; each difference is named. All through the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flasher.bundle import read_bundle
from flasher.run import board_of
from tests.acceptance.conftest import DIARY, User


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


def test_another_policy_is_named(user: User, diary: Path, state: Path) -> None:
    other = user.build(user.variant("open", "accepts = []", 'accepts = ["alice/health"]'), "open")
    with switched_on(user, diary, state) as port:
        answer = user.coffret("attest", "--port", port, "--bundle", other, "--json")
    assert answer.code == 1
    assert {"appliance", "policy"} <= answer.differing()


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
