# SPDX-License-Identifier: Apache-2.0
"""Images made by hand, right or wrong in one place: a second writer of the format."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field, replace

from firmware.image.signer import LocalSigner
from firmware.image.trust import key_hash
from tests.boot.device import Kit

Tlvs = tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Crafted:
    """Every field of an image; `None` means what is right."""

    kit: Kit
    slot: int = 0
    magic: int = 0x96F3B83D
    address: int | None = None
    header_size: int = 0x200
    protected_size: int | None = None
    body_size: int | None = None
    flags: int = 0x100
    counter: bytes = field(default=struct.pack("<I", 1))
    policy: bytes | None = b"\x11" * 32
    board: bytes | None = None
    more_protected: Tlvs = ()
    protected_magic: int = 0x6908
    open_magic: int = 0x6907
    open_size: int | None = None
    leave_out: frozenset[int] = frozenset()
    more_open: Tlvs = ()
    digest: bytes | None = None
    signature: bytes | None = None

    def but(self, **changes: object) -> Crafted:
        return replace(self, **changes)  # type: ignore[arg-type]

    def build(self) -> bytes:
        kit = self.kit
        body = kit.bodies[self.slot]
        protected: list[tuple[int, bytes]] = [(0x50, self.counter), (0x60, b"\xa0")]
        if self.policy is not None:
            protected.append((0xA0, self.policy))
        protected.append((0xA1, b"\x22" * 32))
        protected.append((0xA2, kit.board.name.encode() if self.board is None else self.board))
        protected = [entry for entry in protected if entry[0] not in self.leave_out]
        area = _area(self.protected_magic, (*protected, *self.more_protected), None)
        address = kit.board.slot(self.slot).base if self.address is None else self.address
        header = struct.pack(
            "<IIHHIIBBHII",
            self.magic,
            address,
            self.header_size,
            len(area) if self.protected_size is None else self.protected_size,
            len(body) if self.body_size is None else self.body_size,
            self.flags,
            *(1, 0, 0, 0, 0),
        )
        hashed = header.ljust(0x200, b"\0") + body + area
        digest = hashlib.sha256(hashed).digest()
        signature = LocalSigner(kit.key).sign_digest(digest)
        entries = [
            (0x10, digest if self.digest is None else self.digest),
            (0x01, key_hash(kit.key.public_key())),
            (0x22, signature if self.signature is None else self.signature),
        ]
        kept = [entry for entry in entries if entry[0] not in self.leave_out]
        return hashed + _area(self.open_magic, (*kept, *self.more_open), self.open_size)


def _area(magic: int, entries: Tlvs, size: int | None) -> bytes:
    body = b"".join(struct.pack("<HH", kind, len(value)) + value for kind, value in entries)
    return struct.pack("<HH", magic, 4 + len(body) if size is None else size) + body
