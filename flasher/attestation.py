# SPDX-License-Identifier: Apache-2.0
"""`coffret attest`: a fresh nonce, the board's evidence, a verdict."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import attest
from attest import certificate as certificates
from attest import pairwise, psa_token
from attest.record import why
from boards.errors import NO, CoffretError
from flasher.errors import RefusedError
from flasher.flash import require_application
from flasher.messages import GroupError
from flasher.smp import Board
from flasher.transport import Guard, unguarded

if TYPE_CHECKING:
    from attest.inventory import Inventory
    from attest.p256 import PrivateKey, PublicKey
    from attest.service.client import Challenge, Client


def challenge(
    port: str,
    inventory: Inventory,
    operator: PublicKey | None,
    references: attest.ReferenceValues | None,
    policy: attest.Policy = attest.DEFAULT,
    flows: attest.FlowBook = attest.EMPTY,
    guard: Guard = unguarded,
    enclave: str | None = None,
) -> tuple[attest.Response, attest.Verdict]:
    """Asks the board at `port` for evidence over a new nonce and appraises it.

    The answer comes back with the endorsement that the inventory has, so that it can be kept.
    """
    with Board.open(port, guard=guard) as board:
        require_application(board, "attest")
        nonce = attest.new_challenge(inventory)
        evidence = board.evidence(nonce, enclave)
    answer = attest.Response(evidence.token, evidence.certificate)
    verdict = attest.attest(answer, nonce, inventory, operator, references, policy, flows)
    instance_id = answer.device()
    device = None if instance_id is None else inventory.device(instance_id)
    endorsement = None if device is None else device.endorsement
    return attest.Response(evidence.token, evidence.certificate, endorsement), verdict


def challenge_for(
    verifier: str,
    nonce: Callable[[], bytes],
    port: str,
    inventory: Inventory,
    operator: PrivateKey,
    references: attest.ReferenceValues | None,
    policy: attest.Policy = attest.DEFAULT,
    flows: attest.FlowBook = attest.EMPTY,
    guard: Guard = unguarded,
) -> tuple[attest.Response | None, attest.Verdict]:
    """The board's pairwise evidence over the nonce of the verifier of that name.

    The board is appraised first, as ever; the verdict is of that. Only where it is trusted is its
    key for the verifier endorsed, `nonce` asked for the verifier's challenge, and the board for its
    evidence for that one; else there is None.
    """
    whom = pairwise.verifier_id(verifier)
    with Board.open(port, guard=guard) as board:
        require_application(board, "attest")
        own = attest.new_challenge(inventory)
        try:
            asked = board.pairwise(own, whom, enrol=True)
        except RefusedError as refused:
            if refused.code == GroupError.NOT_SUPPORTED:
                raise _without_pairwise(port) from refused
            raise
        answer = attest.Response(asked.token, asked.certificate)
        public = operator.public_key()
        verdict = attest.attest(answer, own, inventory, public, references, policy, flows)
        if not verdict.trusted:
            return None, verdict
        told = psa_token.read(asked.token)
        if told.enrolment is None or told.enrolment.verifier != whom:
            raise _without_pairwise(port)
        boot = certificates.read(asked.certificate)
        endorsed = pairwise.endorse(told, told.enrolment, boot, operator, int(time.time()))
        shown = board.pairwise(nonce(), whom, enrol=False)
    return attest.Response(shown.token, shown.certificate, endorsed), verdict


@dataclass(frozen=True, slots=True)
class ForVerifier:
    """Asks boards for the evidence that the service of the verifier of that name takes.

    A `flasher.watch.Ask` of the operator's gateway: it holds the operator's key, for each key that
    a board has for the verifier is endorsed afresh, once the board was found to be trusted.
    """

    verifier: str
    inventory: Inventory
    operator: PrivateKey
    references: attest.ReferenceValues | None
    policy: attest.Policy = attest.DEFAULT
    flows: attest.FlowBook = attest.EMPTY

    def __call__(self, port: str, client: Client, /) -> tuple[Challenge, attest.Response]:
        """Raises UntrustedError for a board that the operator would not vouch for."""
        opened: list[Challenge] = []

        def nonce() -> bytes:
            opened.append(client.challenge())
            return opened[-1].nonce

        answer, verdict = challenge_for(
            self.verifier,
            nonce,
            port,
            self.inventory,
            self.operator,
            self.references,
            self.policy,
            self.flows,
        )
        if answer is None:
            raise UntrustedError(port, why(verdict))
        return opened[-1], answer


def _without_pairwise(port: str) -> CoffretError:
    return CoffretError(
        f"{port}: its image was built without pairwise identities",
        "set pairwise = true in [appliance] of its manifest, build and flash it",
        NO,
    )


def require_trusted(
    port: str,
    name: str,
    inventory: Inventory,
    operator: PublicKey,
    references: attest.ReferenceValues,
    guard: Guard = unguarded,
) -> tuple[bytes, attest.Verdict]:
    """The instance id that fresh evidence tells, and the verdict, `trusted`. Or UntrustedError."""
    answer, verdict = challenge(port, inventory, operator, references, guard=guard)
    device = answer.device()
    if not verdict.trusted or device is None:
        raise UntrustedError(name, why(verdict))
    return device, verdict


class UntrustedError(CoffretError):
    """A board's evidence is not what it should be."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(
            f"{name}: is not trusted: {what}",
            "see every claim: coffret attest --bundle BUNDLE; then flash the board anew",
            NO,
        )
