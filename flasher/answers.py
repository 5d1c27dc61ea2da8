# SPDX-License-Identifier: Apache-2.0
"""What a board says, as values: checked for shape and free of terminal control characters.

Nothing here is believed for being well-formed. Only evidence that `attest` appraised is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

SLOT_NAMES = ("A", "B")
HASH_BYTES = 32
_VERSION = re.compile(r"\d{1,3}\.\d{1,3}\.\d{1,5}(\.\d{1,10})?")
_TEXT_MAX = 256
_TASK_STATES = ("ready", "waiting", "stopped", "back-off", "asleep")


class Mode(Enum):
    """Who answers at the management port."""

    RECOVERY = "recovery"
    APPLICATION = "application"


@dataclass(frozen=True, slots=True)
class SlotImage:
    """The image in one slot (0 A, 1 B). `digest` is its SHA256 TLV, 32 bytes."""

    slot: int
    version: str
    digest: bytes
    active: bool
    confirmed: bool
    pending: bool


@dataclass(frozen=True, slots=True)
class Identity:
    """Public facts of the device identity: instance id (33 bytes), key X || Y (64 bytes)."""

    instance_id: bytes
    key: bytes
    implementation_id: bytes
    lifecycle: int
    boot_digest: bytes


@dataclass(frozen=True, slots=True)
class Evidence:
    """A token and its certificate, both still unverified."""

    token: bytes
    certificate: bytes


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of the board's log; `ms` since its reset."""

    sequence: int
    ms: int
    who: str
    text: str


@dataclass(frozen=True, slots=True)
class EnclaveState:
    """How one enclave is.

    `cpu_ms`: processor time since the reset, 0 where there is a secrecy label (it would tell of
    the data). `memory`: bytes that it owns. Both are 0 if the image does not tell.
    """

    name: str
    state: str
    faults: int
    restarts: int
    last: str
    cpu_ms: int = 0
    memory: int = 0


@dataclass(frozen=True, slots=True)
class Enclaves:
    """All enclaves, the running slot and the time since the reset in ms.

    `store_erases`: how often each bank of the record store was erased; None: the image is older.
    """

    enclaves: tuple[EnclaveState, ...]
    slot: int
    uptime_ms: int
    store_erases: tuple[int, int] | None = None


def clean(text: str, limit: int = _TEXT_MAX) -> str:
    """`text` without control characters (escape sequences could rewrite a terminal), bounded."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:limit])


def version(text: str) -> str:
    """A version as MCUboot writes it. Raises ValueError."""
    if not _VERSION.fullmatch(text):
        raise ValueError(f"version {clean(text)[:40]!r}")
    return text


def digest(value: bytes | None) -> bytes:
    """A SHA-256. Raises ValueError."""
    if value is None or len(value) != HASH_BYTES:
        raise ValueError("an image hash that is not 32 bytes long")
    return bytes(value)


def log_entry(fields: list[int | str]) -> LogEntry:
    """`[sequence, ms, who, text]`; `who` is a name or a task number. Raises ValueError."""
    match fields:
        case [int(sequence), int(ms), (str() | int()) as who, str(text)]:
            return LogEntry(sequence, ms, clean(str(who)), clean(text))
        case _:
            raise ValueError("a log entry that is not [sequence, ms, who, text]")


def task_state(value: int | str) -> str:
    """The state's name: the board may send its number (`struct task_info`, syscall.h)."""
    if isinstance(value, int):
        return _TASK_STATES[value] if value < len(_TASK_STATES) else str(value)
    return clean(value)
