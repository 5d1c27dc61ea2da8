# SPDX-License-Identifier: Apache-2.0
"""The digest of a board's log, as its evidence carries it (services/attester.c)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TypeAlias

from attest.evidence import Health

Entry: TypeAlias = tuple[int, int, str, str]
"""Sequence number, milliseconds since boot, who, text: as SMP group 66 reads them."""


def log_digest(entries: Iterable[Entry]) -> bytes:
    """SHA-256 over, for each entry: sequence and milliseconds (u32, little endian), length of the
    text (u8), name with a NUL, text.
    """
    digest = hashlib.sha256()
    for sequence, ms, who, text in entries:
        said = text.encode()
        digest.update(sequence.to_bytes(4, "little") + ms.to_bytes(4, "little"))
        digest.update(bytes([len(said)]) + who.encode() + b"\0" + said)
    return digest.digest()


def matches(health: Health, entries: Iterable[Entry]) -> bool | None:
    """Whether these entries, read later, are those the evidence speaks of. None: some of them are
    gone, the ring goes on. (Sequence numbers of a whole log may have gaps: releases outlive text.)
    """
    told = [each for each in entries if health.log_first <= each[0] < health.log_next]
    if log_digest(told) == health.log_digest:
        return True
    whole = [each[0] for each in told] == list(range(health.log_first, health.log_next))
    return False if whole else None
