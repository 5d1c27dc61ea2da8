# SPDX-License-Identifier: Apache-2.0
"""The inventory: nonces once, endorsed devices, and verdicts kept with their evidence."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from simulated_device import GOOD, OPERATOR, REFERENCES, digest

import attest
from attest.appraisal import NonceState
from attest.inventory import NONCE_LIFETIME, Inventory, InventoryError
from attest.response import unpack

PUBLIC = OPERATOR.public_key()


@pytest.fixture(params=["sqlite", "postgresql"])
def inventory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Inventory]:
    location = str(tmp_path / "data" / "inventory.sqlite")
    if request.param == "postgresql":
        location = request.getfixturevalue("postgresql").url()
    opened = attest.open_inventory(location)
    yield opened
    opened.close()


def test_endorsed_device_is_trusted_once_per_nonce(inventory: Inventory) -> None:
    attest.endorse(GOOD.identity_facts, OPERATOR, inventory, name="kitchen")
    nonce = attest.new_challenge(inventory)
    response = GOOD.answer(nonce)
    first = attest.attest(response, nonce, inventory, PUBLIC, REFERENCES)
    replayed = attest.attest(response, nonce, inventory, PUBLIC, REFERENCES)
    assert first.verdict == "trusted"
    assert replayed.verdict == "untrusted"
    assert replayed.differing == ("nonce",)
    assert "replayed" in replayed.claims[0].why


def test_old_answer_to_a_new_challenge_is_untrusted(inventory: Inventory) -> None:
    attest.endorse(GOOD.identity_facts, OPERATOR, inventory)
    old = GOOD.answer(attest.new_challenge(inventory))
    nonce = attest.new_challenge(inventory)
    verdict = attest.attest(old, nonce, inventory, PUBLIC, REFERENCES)
    assert verdict.differing == ("nonce",)


def test_device_that_was_never_endorsed_is_unknown(inventory: Inventory) -> None:
    nonce = attest.new_challenge(inventory)
    verdict = attest.attest(GOOD.answer(nonce), nonce, inventory, PUBLIC, REFERENCES)
    assert verdict.verdict == "unknown"
    assert "endorsement" in verdict.differing


def test_endorsement_that_a_device_brings_along_counts_for_nothing(inventory: Inventory) -> None:
    nonce = attest.new_challenge(inventory)
    response = replace(GOOD.answer(nonce), endorsement=GOOD.endorsed_by())
    verdict = attest.attest(response, nonce, inventory, PUBLIC, REFERENCES)
    assert verdict.verdict == "unknown"


def test_nonce_states(inventory: Inventory) -> None:
    nonce = inventory.issue_nonce(now=1000)
    assert len(nonce) == 32
    assert inventory.use_nonce(bytes(32), now=1000) is NonceState.UNKNOWN
    assert inventory.use_nonce(nonce, now=1000 + NONCE_LIFETIME + 1) is NonceState.EXPIRED
    assert inventory.use_nonce(nonce, now=1000 + NONCE_LIFETIME) is NonceState.FRESH
    assert inventory.use_nonce(nonce, now=1001) is NonceState.USED


def test_one_nonce_is_fresh_for_one_of_many_at_once(inventory: Inventory) -> None:
    nonce = inventory.issue_nonce()
    with ThreadPoolExecutor(8) as pool:
        states = list(pool.map(lambda _: inventory.use_nonce(nonce), range(32)))
    assert states.count(NonceState.FRESH) == 1
    assert states.count(NonceState.USED) == 31


def test_used_nonce_stays_used_after_opening_again(tmp_path: Path) -> None:
    location = str(tmp_path / "inventory.sqlite")
    first = attest.open_inventory(location)
    nonce = first.issue_nonce()
    assert first.use_nonce(nonce) is NonceState.FRESH
    first.close()
    second = attest.open_inventory(location)
    assert second.use_nonce(nonce) is NonceState.USED
    second.close()


def test_devices_are_found_by_name_and_id(inventory: Inventory) -> None:
    attest.endorse(GOOD.identity_facts, OPERATOR, inventory, name="kitchen")
    device = inventory.find("kitchen")
    assert device is not None
    assert device == inventory.find(device.instance_id.hex())
    assert device.board == GOOD.board
    assert inventory.find("cellar") is None
    assert inventory.find("00ff") is None


def test_second_endorsement_keeps_name_and_date(inventory: Inventory) -> None:
    first = inventory.add_device(GOOD.identity_facts, GOOD.endorsed_by(), "kitchen", now=10)
    second = inventory.add_device(GOOD.identity_facts, GOOD.endorsed_by(), now=20)
    assert (second.name, second.created) == (first.name, 10)
    assert second.endorsement != first.endorsement
    assert inventory.devices() == [second]


def test_two_devices_cannot_share_a_name(inventory: Inventory) -> None:
    other = replace(GOOD, secret=digest("other"))
    attest.endorse(GOOD.identity_facts, OPERATOR, inventory, name="kitchen")
    with pytest.raises(InventoryError, match="kitchen"):
        attest.endorse(other.identity_facts, OPERATOR, inventory, name="kitchen")
    assert [device.name for device in inventory.devices()] == ["kitchen"]


def test_verdicts_are_kept_with_their_evidence(inventory: Inventory) -> None:
    attest.endorse(GOOD.identity_facts, OPERATOR, inventory)
    for image in (GOOD.image, digest("evil")):
        nonce = attest.new_challenge(inventory)
        device = replace(GOOD, image=image)
        attest.attest(device.answer(nonce), nonce, inventory, PUBLIC, REFERENCES)
    bad, good = inventory.history(GOOD.identity_facts.instance_id)
    assert (bad.verdict, good.verdict) == ("untrusted", "trusted")
    assert [claim["claim"] for claim in bad.claims if not claim["ok"]] == ["appliance"]
    assert unpack(good.evidence).device() == GOOD.identity_facts.instance_id


def test_malformed_answers_are_recorded_too(inventory: Inventory) -> None:
    nonce = attest.new_challenge(inventory)
    verdict = attest.attest(attest.Response(b"", b""), nonce, inventory, PUBLIC, REFERENCES)
    assert verdict.verdict == "untrusted"
    assert inventory.use_nonce(nonce) is NonceState.USED


def test_unusable_location_is_an_error_with_a_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InventoryError) as caught:
        attest.open_inventory(str(tmp_path / "file" / "inventory.sqlite"))
    assert "--inventory" in caught.value.mend


def test_file_that_is_no_database_is_an_error_with_a_mend(tmp_path: Path) -> None:
    path = tmp_path / "inventory.sqlite"
    path.write_text("this is not a database, it is a letter " * 40)
    with pytest.raises(InventoryError, match=r"inventory\.sqlite: file is not a database"):
        attest.open_inventory(str(path))


def test_password_in_a_url_is_not_shown() -> None:
    with pytest.raises(InventoryError) as caught:
        attest.open_inventory("nosuchdatabase://user:hunter2@localhost/db")
    assert "hunter2" not in caught.value.message + caught.value.mend
