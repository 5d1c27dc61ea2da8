# SPDX-License-Identifier: Apache-2.0
"""`coffret provision` against a simulated device with real keys: proof, endorsement, inventory."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import attest
from attest import dice
from attest.inventory import Inventory
from flasher.attestation import challenge
from flasher.errors import RefusedError
from flasher.provision import Provisioned, provision
from flasher.smp import Board
from tests.attest.simulated_device import (
    OPERATOR,
    OTHER_OPERATOR,
    REFERENCES,
    SimulatedDevice,
)
from tests.flasher.fake_application import SECURED, Application, image
from tests.flasher.fake_board import FakeBoard


@pytest.fixture
def inventory(tmp_path: Path) -> Iterator[Inventory]:
    opened = attest.open_inventory(str(tmp_path / "inventory.sqlite"))
    yield opened
    opened.close()


def _application() -> Application:
    return Application([image(0, (1, 0, 0)), None])


def _provision(
    application: Application, inventory: Inventory, name: str | None = None
) -> Provisioned:
    with application.board() as board:
        return provision(board.port, OPERATOR, inventory, name, lambda _: None)


def test_a_new_board_is_endorsed_recorded_and_reset_into_its_secured_state(
    inventory: Inventory,
) -> None:
    application = _application()
    done = _provision(application, inventory, "kitchen")
    device = inventory.find("kitchen")
    assert device is not None
    assert done.changed
    assert application.endorsement == device.endorsement
    assert application.device.lifecycle == SECURED
    assert application.device.mode == dice.Mode.NORMAL
    assert application.resets == 1


def test_a_provisioned_board_attests_as_trusted(inventory: Inventory) -> None:
    application = _application()
    _provision(application, inventory)
    with application.board() as board:
        _, verdict = challenge(board.port, inventory, OPERATOR.public_key(), REFERENCES)
    assert verdict.trusted, verdict.differing


def test_provisioning_twice_changes_nothing(inventory: Inventory) -> None:
    application = _application()
    _provision(application, inventory)
    endorsement = application.endorsement
    again = _provision(application, inventory)
    assert not again.changed
    assert application.endorsement == endorsement
    assert application.resets == 1


def test_a_board_that_lost_power_before_it_stored_the_endorsement_gets_the_same_one(
    inventory: Inventory,
) -> None:
    application = _application()
    _provision(application, inventory)
    endorsement, application.endorsement = application.endorsement, b""
    _provision(application, inventory)
    assert application.endorsement == endorsement


def test_a_board_that_was_not_reset_after_its_endorsement_is_reset(inventory: Inventory) -> None:
    application = _application()
    _provision(application, inventory)
    application.device = replace(application.device, mode=int(dice.Mode.DEBUG))
    _provision(application, inventory)
    assert application.device.mode == dice.Mode.NORMAL


def test_a_lost_inventory_takes_the_boards_own_endorsement_over(
    inventory: Inventory, tmp_path: Path
) -> None:
    application = _application()
    _provision(application, inventory)
    fresh = attest.open_inventory(str(tmp_path / "fresh.sqlite"))
    done = _provision(application, fresh)
    assert not done.changed
    assert [device.endorsement for device in fresh.devices()] == [application.endorsement]
    fresh.close()


def test_a_board_of_another_operator_is_left_alone(inventory: Inventory) -> None:
    application = _application()
    application.endorsement = application.device.endorsed_by(OTHER_OPERATOR)
    with pytest.raises(RefusedError, match="another operator") as refused:
        _provision(application, inventory)
    assert refused.value.exit_code == 1
    assert inventory.devices() == []


OTHER = SimulatedDevice(secret=b"another secret, of another board")


@pytest.mark.parametrize(
    "lie",
    [
        {"nonce": bytes(32)},
        {"instance_id": OTHER.identity_facts.instance_id},
        {"implementation_id": b"coffret/other/flash".ljust(32, b"\0")},
    ],
    ids=["an old nonce", "another instance id", "another kind of board"],
)
def test_a_board_whose_evidence_says_otherwise_is_not_endorsed(
    inventory: Inventory, lie: dict[str, object]
) -> None:
    application = _application()
    application.device = replace(application.device, token_changes=lie)
    with pytest.raises(RefusedError, match="did not prove its identity"):
        _provision(application, inventory)
    assert inventory.devices() == []
    assert application.endorsement == b""


def test_a_copied_identity_without_its_key_is_not_endorsed(inventory: Inventory) -> None:
    victim, thief = SimulatedDevice(), _application()
    thief.device = replace(OTHER, lifecycle=0x2000)
    board: FakeBoard = thief.board()
    facts = victim.identity_facts
    board.handlers[(0, 65, 0)] = lambda _: {
        "id": facts.instance_id,
        "key": facts.identity_key,
        "impl": facts.implementation_id,
        "lifecycle": 0x2000,
        "boot": facts.boot_digest,
    }
    with board, pytest.raises(RefusedError, match="did not prove its identity"):
        provision(board.port, OPERATOR, inventory, None, lambda _: None)
    assert inventory.devices() == []


def test_an_instance_id_that_is_not_the_keys_is_not_endorsed(inventory: Inventory) -> None:
    application = _application()
    board = application.board()
    honest = board.handlers[(0, 65, 0)]
    board.handlers[(0, 65, 0)] = lambda asked: {**honest(asked), "id": b"\x01" + bytes(32)}
    with board, pytest.raises(RefusedError, match="did not prove its identity"):
        provision(board.port, OPERATOR, inventory, None, lambda _: None)


def test_a_board_in_recovery_is_not_provisioned(inventory: Inventory) -> None:
    application = _application()
    application.mode = "recovery"
    with pytest.raises(RefusedError, match="in recovery"):
        _provision(application, inventory)


def test_the_wrong_software_is_untrusted_and_the_claim_is_named(inventory: Inventory) -> None:
    application = _application()
    _provision(application, inventory)
    application.device = replace(application.device, policy=bytes(32))
    with application.board() as board:
        _, verdict = challenge(board.port, inventory, OPERATOR.public_key(), REFERENCES)
    assert verdict.verdict == "untrusted"
    assert verdict.differing == ("policy",)


def test_a_nonce_of_a_length_the_token_does_not_allow_is_not_sent() -> None:
    with (
        _application().board() as fake,
        Board.open(fake.port) as board,
        pytest.raises(ValueError, match="nonce"),
    ):
        board.evidence(bytes(31))
