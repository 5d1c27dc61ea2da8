# SPDX-License-Identifier: Apache-2.0
"""The build refuses an appliance whose evidence would not fit, and knows exactly what fits."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from simulated_device import GOOD, digest, private_key

import boards
from attest import certificate, dice, psa_claims, psa_token
from attest.evidence import Component, Enrolment, GateUse, Health, Subject
from firmware.appliance.manifest_file import load
from firmware.planning import evidence_size
from firmware.planning.fit import board_problems

MOST = 0xFFFFFFFF


@pytest.mark.parametrize("count", [1, 2, 5, 8])
@pytest.mark.parametrize("gates", [0, 1, 16])
def test_the_size_is_that_of_the_longest_token(count: int, gates: int) -> None:
    enclaves = tuple((f"enclave-{number}", digest("code")) for number in range(count))
    device = replace(GOOD, enclaves=enclaves, lifecycle=0x60FF)
    honest = device.evidence(bytes(64))
    versioned = ("runtime", "appliance")
    longest = replace(
        honest,
        components=tuple(
            replace(part, version="1.2.3" if part.type.startswith(versioned) else None)
            for part in honest.components
        ),
        uptime=MOST,
        boot_count=MOST,
        health=Health(bytes(32), MOST, MOST, ((MOST, MOST),) * count),
        subject=Subject(
            "enclave:enclave-0", 0, 0, ((MOST, MOST),) * 2, (GateUse(15, MOST, MOST),) * gates
        ),
    )
    names = [name for name, _ in enclaves]
    token = psa_token.write(longest, device.alias)
    assert evidence_size.token_size(names, "1.2.3", gates) == len(token)
    radio = Component("radio", digest("radio"), device.signer_id)
    token = psa_token.write(replace(longest, components=(*longest.components, radio)), device.alias)
    assert evidence_size.token_size(names, "1.2.3", gates, radio=True) == len(token)
    asked = replace(longest, subject=None, enrolment=Enrolment(bytes(32), bytes(64)))
    enrolling = len(psa_token.write(asked, device.alias))
    most = evidence_size.token_size(names, "1.2.3", gates, pairwise=True)
    assert most == max(enrolling, evidence_size.token_size(names, "1.2.3", gates))
    given = len(psa_token.write(replace(longest, settings=bytes(32)), device.alias))
    assert evidence_size.token_size(names, "1.2.3", gates, settings=True) == given
    assert evidence_size.PROFILE == psa_claims.PROFILE_URI


def test_the_certificate_is_as_long_as_it_says() -> None:
    board = "b" * 32
    descriptor = dice.configuration_descriptor(bytes(32), bytes(32), MOST, board)
    inputs = dice.Inputs(bytes(32), hashlib.sha256(descriptor).digest(), bytes(32), 1)
    made = certificate.issue(private_key(4), private_key(5).public_key(), inputs, descriptor)
    assert len(made) == evidence_size.CERTIFICATE + len(board)


def test_an_appliance_whose_evidence_does_not_fit_is_refused(tmp_path: Path) -> None:
    def appliance(count: int) -> Path:
        folder = tmp_path / str(count)
        folder.mkdir()
        tables = [f'[enclave.part{n}]\nmodule = "part.py"\n' for n in range(count)]
        head = '[appliance]\nname = "many"\nversion = "1.0.0"\n'
        (folder / "appliance.toml").write_text(head + "".join(tables))
        (folder / "part.py").write_text("import enclave\n")
        return folder

    board = boards.load("mps2-an385")
    assert board_problems(load(appliance(7)), board) == []
    (problem,) = board_problems(load(appliance(9)), board)
    assert "the evidence can have" in problem.what
    assert (problem.key, problem.line > 0) == ("enclave.part8", True)
