# SPDX-License-Identifier: Apache-2.0
"""A report on one enclave in words: what it is, what it may see and release, what of that it used.

The evidence has numbers; the flow policy that boot measured has the names behind them, in order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from attest import certificate, psa_token
from attest.errors import AttestError
from attest.evidence import ENCLAVE_PREFIX, Evidence
from attest.flows import FlowBook
from attest.response import Response


@dataclass(frozen=True, slots=True)
class GateReport:
    """A gate: `used` of at most `at_most` messages of `bytes` in a window of `window_s` seconds."""

    name: str
    used: int
    at_most: int
    bytes: int
    window_s: int
    left_s: int


@dataclass(frozen=True, slots=True)
class EnclaveReport:
    """One enclave, as evidence that was asked for it says. Verify the evidence first."""

    name: str
    code: bytes
    secrecy: tuple[str, ...]
    integrity: tuple[str, ...]
    gates: tuple[GateReport, ...]
    faults: int
    restarts: int

    def to_json(self) -> dict[str, object]:
        return {
            "enclave": self.name,
            "code": self.code.hex(),
            "secrecy": list(self.secrecy),
            "integrity": list(self.integrity),
            "gates": [
                {
                    "gate": gate.name,
                    "used": gate.used,
                    "at_most": gate.at_most,
                    "bytes": gate.bytes,
                    "window_s": gate.window_s,
                    "left_s": gate.left_s,
                }
                for gate in self.gates
            ],
            "faults": self.faults,
            "restarts": self.restarts,
        }

    def lines(self) -> Iterator[str]:
        """For a terminal."""
        yield f"enclave {self.name}: code {self.code.hex()}"
        yield f"  holds {', '.join(self.secrecy) or 'no secrets'}"
        if self.integrity:
            yield f"  trusts only what is vouched for by {', '.join(self.integrity)}"
        for gate in self.gates:
            left = f", {gate.left_s} s of it left" if gate.left_s else ""
            yield (
                f"  {gate.name}: {gate.used} of {gate.at_most} messages of {gate.bytes} bytes used "
                f"in a window of {gate.window_s} s{left}"
            )
        yield f"  {self.faults} faults, {self.restarts} restarts since boot"


def of(response: Response, flows: FlowBook) -> EnclaveReport | None:
    """The report within a response that was appraised, None if there is none to be told."""
    try:
        evidence = psa_token.read(response.token)
        policy = certificate.read(response.certificate).policy_digest
    except AttestError:
        return None
    return describe(evidence, policy, flows)


def describe(evidence: Evidence, policy: bytes, flows: FlowBook) -> EnclaveReport | None:
    """The report within `evidence`, None if it has none or nobody knows the policy's text.

    `policy` is the digest that boot measured. Bits and numbers that the policy has no name for are
    shown as such: they contradict it.
    """
    subject, known = evidence.subject, flows.policy(policy)
    if subject is None or known is None:
        return None
    graph = known.graph
    name = subject.type.removeprefix(ENCLAVE_PREFIX)
    faults, restarts = dict(zip(evidence.enclaves, evidence.health.counts, strict=True))[name]
    names = [tag.name for tag in graph.tags]
    gates = []
    for use in subject.gates:
        gate = graph.gates[use.number] if use.number < len(graph.gates) else None
        gates.append(
            GateReport(
                name=f"unknown gate {use.number}" if gate is None else gate.name,
                used=use.used,
                at_most=0 if gate is None else gate.budget.messages,
                bytes=0 if gate is None else gate.budget.size,
                window_s=0 if gate is None else gate.budget.window_s,
                left_s=use.left_s,
            )
        )
    return EnclaveReport(
        name=name,
        code=evidence.enclaves[name],
        secrecy=_tags(subject.secrecy, names),
        integrity=_tags(subject.integrity, names),
        gates=tuple(gates),
        faults=faults,
        restarts=restarts,
    )


def _tags(mask: int, names: list[str]) -> tuple[str, ...]:
    bits = [bit for bit in range(mask.bit_length()) if mask >> bit & 1]
    return tuple(names[bit] if bit < len(names) else f"unknown tag {bit}" for bit in bits)
