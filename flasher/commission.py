# SPDX-License-Identifier: Apache-2.0
"""`coffret provision --bundle`: one board from blank to trusted, with its label.

Boot where a ROM boot loader takes it, the appliance, identity and endorsement, the lifecycle, the
first attestation, the record, the label. Each step finds done what is done, so whatever cut it
short, the same command goes on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import attest
from flasher import label as labels
from flasher import ports, programming
from flasher.attestation import require_trusted
from flasher.bundle import read_bundle
from flasher.discovery import find
from flasher.errors import BadFileError, NoAnswerError
from flasher.flash import BACK_S, Flashed, Say
from flasher.provision import Provisioned, provision
from flasher.smp_session import Progress

if TYPE_CHECKING:
    from attest.inventory import Inventory
    from attest.p256 import PrivateKey

_POLL_S = 0.25


@dataclass(frozen=True, slots=True)
class Commissioned:
    """A board that runs its appliance, is endorsed and answered as a trusted one."""

    flashed: Flashed
    provisioned: Provisioned
    verdict: str
    label: Path | None

    def to_json(self) -> dict[str, object]:
        return {
            **self.provisioned.to_json(),
            "changed": self.flashed.changed or self.provisioned.changed,
            "version": self.flashed.version,
            "verdict": self.verdict,
            "label": None if self.label is None else str(self.label),
        }


def commission(
    bundle: Path,
    port: str | None,
    operator: PrivateKey,
    inventory: Inventory,
    name: str | None,
    label: Path | None,
    say: Say,
    progress: Progress,
) -> Commissioned:
    """Does all of it to the board that `port` means; `label` is a .png or .pdf file to write.

    Raises what flashing and provisioning do, UntrustedError, and CoffretError for the label.
    """
    if not bundle.is_dir():
        raise BadFileError(
            f"{bundle}: one image file does not say what the board should then prove",
            "name the bundle directory that `coffret build` made",
        )
    references = attest.load_bundle(bundle)
    flashed = programming.flash(bundle, port, say, progress)
    path = _port_of(read_bundle(bundle).board, port)
    done = provision(path, operator, inventory, name, say)
    _, verdict = require_trusted(path, done.name, inventory, operator.public_key(), references)
    say("its first evidence is as the bundle says: trusted")
    if label is not None:
        labels.save(label, bytes.fromhex(done.device), done.name, done.board)
    return Commissioned(flashed, done, verdict.verdict, label)


def _port_of(board: str, port: str | None) -> str:
    """Where the board answers now: a port that came back, or came up after its ROM boot loader."""
    deadline = time.monotonic() + BACK_S
    while True:
        found = find()
        if port is not None and not port.startswith(("usb:", "probe:")) and not Path(port).is_dir():
            return ports.choose(port, found)
        ours = [device for device in found if device.answers_for(board)]
        if ours:
            return ports.only(ours).path
        if time.monotonic() > deadline:
            raise NoAnswerError(board, "a port after the flash", BACK_S)
        time.sleep(_POLL_S)
