# SPDX-License-Identifier: Apache-2.0
"""Files of signed results: `NAME.jwt` or `NAME.cwt`, whole or not there."""

from __future__ import annotations

import time
from pathlib import Path

from attest import ear, keys, p256, psa_token
from attest.ear import Dialect, Issuer, Received, Result
from attest.errors import AttestError
from attest.response import Response
from attest.verdict import Verdict
from boards.errors import NO, USAGE, CoffretError
from enclaves.keys import write_atomically

_MEND = "name it FILE.jwt or FILE.cwt"


def write(
    path: Path,
    answer: Response,
    verdict: Verdict,
    nonce: bytes,
    dialect: str,
    folder: Path | None,
) -> None:
    """Sign the verdict with the verifier's key, made at first use. Raises CoffretError."""
    if path.suffix not in (".jwt", ".cwt"):
        raise CoffretError(f"{path}: neither a JWT nor a CWT", _MEND, USAGE)
    try:
        token = psa_token.read(answer.token)
    except AttestError:
        token = None
    issuer = Issuer(keys.load_or_create("verifier", folder).private)
    result = Result(verdict, nonce, int(time.time()), token)
    if path.suffix == ".jwt":
        data = ear.to_jwt(result, issuer, Dialect(dialect)).encode("ascii")
    else:
        data = ear.to_cwt(result, issuer, Dialect(dialect))
    write_atomically(path, data)


def read(path: Path, verifier: p256.PublicKey) -> Received:
    """Verify and read a result. Raises CoffretError."""
    if path.suffix not in (".jwt", ".cwt"):
        raise CoffretError(f"{path}: neither a JWT nor a CWT", _MEND, USAGE)
    with path.open("rb") as file:
        data = file.read(ear.MAX_BYTES + 1)
    try:
        if path.suffix == ".cwt":
            return ear.read_cwt(data, verifier)
        return ear.read_jwt(data.decode("ascii").strip(), verifier)
    except (AttestError, UnicodeDecodeError) as error:
        raise CoffretError(f"{path}: {error}", "ask the verifier for it again", NO) from error
