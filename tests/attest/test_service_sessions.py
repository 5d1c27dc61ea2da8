# SPDX-License-Identifier: Apache-2.0
"""A session is its id, and only the service that sealed it can have made one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.service.session import Sealer, Session, SessionError
from tests.attest.simulated_device import private_key

SEALER = Sealer(private_key(77))
SESSION = Session(bytes(range(32)), 1_760_000_000, 300, "gateway-1")
ID = SEALER.seal(SESSION)


@pytest.mark.parametrize("size", [32, 48, 64])
@pytest.mark.parametrize("chosen", [False, True])
def test_a_session_comes_back_whole(size: int, chosen: bool) -> None:
    session = replace(SESSION, nonce=bytes(range(size)), chosen=chosen)
    assert SEALER.open(SEALER.seal(session), session.owner) == session


def test_every_changed_character_is_noticed() -> None:
    for at, was in enumerate(ID):
        for other in "AZaz09-_=":
            if other != was:
                with pytest.raises(SessionError):
                    SEALER.open(ID[:at] + other + ID[at + 1 :], SESSION.owner)


@given(st.text(max_size=300))
def test_nothing_else_is_a_session(text: str) -> None:
    with pytest.raises(SessionError):
        SEALER.open(text, SESSION.owner)


def test_a_session_has_one_id() -> None:
    for same in (f"{ID}=", f"{ID}==", f" {ID}", ID.replace("_", "/"), ID[:-1]):
        if same != ID:
            with pytest.raises(SessionError):
                SEALER.open(same, SESSION.owner)


def test_somebody_elses_session_is_none() -> None:
    with pytest.raises(SessionError):
        SEALER.open(ID, "gateway-2")


def test_another_verifier_did_not_seal_it() -> None:
    with pytest.raises(SessionError):
        Sealer(private_key(78)).open(ID, SESSION.owner)
