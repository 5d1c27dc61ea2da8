# SPDX-License-Identifier: Apache-2.0
"""Schemas in CDDL (RFC 8610): ours, which are in docs/, and those of RFCs, beside here."""

from __future__ import annotations

from pathlib import Path

import pycddl  # type: ignore[import-untyped]

OURS = Path(__file__).parents[2] / "docs"
THEIRS = Path(__file__).parent


def schema(name: str) -> pycddl.Schema:
    """`evidence` and the like of ours; `psa_token` and `eat` of the RFCs."""
    file = f"{name}.cddl"
    path = OURS / file if (OURS / file).exists() else THEIRS / file
    return pycddl.Schema(path.read_text())
