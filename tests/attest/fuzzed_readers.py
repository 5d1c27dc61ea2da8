# SPDX-License-Identifier: Apache-2.0
"""The program that atheris drives: everything that reads what a stranger hands over.

    python -m tests.attest.fuzzed_readers SEEDS CORPUS [libFuzzer's options]

Fills the folder SEEDS with genuine documents and the table of attacks on them, and goes on from
there. The first byte of an input chooses the reader, the rest is what it reads. A reader may refuse
with an AttestError; an appraisal may not even raise that, and trusts nothing but genuine content.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["attest", "enclaves"]):
    from attest import corim, ear, enclave_report, flows, log, pairwise, response
    from attest.errors import AttestError
    from attest.explain import explain

from enclaves import cbor, cose
from tests.attest.attacks.documents import (
    DOCUMENTS,
    ENDORSED,
    OURS,
    Document,
    appraised,
    shown,
    signed,
)
from tests.attest.attacks.table import cases
from tests.attest.simulated_device import OPERATOR, REFERENCES, SIGNER

PUBLIC = OPERATOR.public_key()
READERS = (
    response.unpack,
    corim.read,
    lambda data: corim.read(cose.sign1(data, SIGNER), SIGNER.public_key()),
    lambda data: log.check(log.read_proof(data), PUBLIC),
    lambda data: log.read_head(cose.sign1(data, OPERATOR), PUBLIC),
    lambda data: flows.FlowBook.of([data]),
    lambda data: ear.read_jwt(data.decode("latin-1"), PUBLIC),
    lambda data: ear.read_cwt(cose.sign1(data, OPERATOR), PUBLIC),
    pairwise.read,
)
UNPACK, CORIM, SIGNED_CORIM = range(2 * len(DOCUMENTS), 2 * len(DOCUMENTS) + 3)  # first bytes


def one_input(data: bytes) -> None:
    """Read one input with the reader that its first byte names."""
    which, rest = data[0] if data else 0, data[1:]
    if which < len(DOCUMENTS):
        document = DOCUMENTS[which]
        if _trusted(document, rest) and document is not ENDORSED:  # its serial number is random
            payload = cose.read1(rest, tagged=document.tagged).payload
            assert payload == cbor.encode(document.payload)
    elif which < 2 * len(DOCUMENTS):
        document = DOCUMENTS[which - len(DOCUMENTS)]
        _trusted(document, signed(document, rest, document.key))  # whatever it is, signed for real
    else:
        with suppress(AttestError):
            READERS[(which - UNPACK) % len(READERS)](rest)


def _trusted(document: Document, message: bytes) -> bool:
    answer, expected = shown(document, message)
    verdict = appraised(answer, expected)
    explain(verdict)
    enclave_report.of(answer, expected.flows)
    assert all(claim.ok or claim.why for claim in verdict.claims)
    return verdict.trusted


def write_seeds(folder: Path) -> None:
    """Genuine documents, and every attack of the table."""
    references = corim.reference_values(REFERENCES)
    seeds = [
        bytes([UNPACK]) + response.pack(OURS.answer()),
        bytes([CORIM]) + references,
        bytes([CORIM]) + corim.sign(references, SIGNER, "coffret"),
        bytes([SIGNED_CORIM]) + references,
    ]
    for case in cases():
        seeds.append(bytes([DOCUMENTS.index(case.document)]) + case.message)
    for number, document in enumerate(DOCUMENTS):
        payload = cbor.encode(document.payload)
        seeds.append(bytes([number]) + signed(document, payload, document.key))
        seeds.append(bytes([number + len(DOCUMENTS)]) + payload)
    for number, seed in enumerate(seeds):
        (folder / f"{number:05}").write_bytes(seed)


if __name__ == "__main__":
    write_seeds(Path(sys.argv[1]))
    atheris.Setup([sys.argv[0], *sys.argv[3:], sys.argv[2], sys.argv[1]], one_input)
    atheris.Fuzz()
