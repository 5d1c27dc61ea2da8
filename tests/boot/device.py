# SPDX-License-Identifier: Apache-2.0
"""What boot's tests share: a built boot, the payload for each slot, the handoff it prints."""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from elftools.elf.elffile import ELFFile

import boards
from boards.model import Board
from firmware.compiler.boot_build import RUNTIME, Boot, build_boot
from firmware.compiler.object_cache import Roots
from firmware.compiler.sources import MBEDTLS, find_tree
from firmware.compiler.toolchain import CORES, CompileJob, zig_toolchain
from firmware.image.format import HEADER_SIZE, Version
from firmware.image.signer import LocalSigner
from firmware.image.trust import Trust
from firmware.image.writer import ImageContent, wrap_image
from firmware.planning.monitor_features import EVERYTHING, constants, image_config
from tests.qemu import FlashFile, Machine
from tests.store.store_model import records_in

HERE = Path(__file__).parent
PAYLOAD_RAM = 0x2010_0000

OK, NO_IMAGE, HEADER, SLOT_ADDRESS, TOO_LARGE, TLV, BOARD, NO_HASH, HASH = range(9)
KEY, NO_SIGNATURE, SIGNATURE, COUNTER, NO_POLICY, FLASH, NOT_CONFIRMED, IDENTITY = range(9, 17)
REVOKED, THRESHOLD, POST_QUANTUM, REVOKES_ITSELF, FAULT = range(17, 22)

# struct handoff (firmware/runtime/include/coffret/handoff.h).
_HANDOFF = struct.Struct("<IHHIIBBBB32s32s32s32s32s33sBH32s32s64s64sH544s")
_NAMES = (
    *("magic", "version", "reserved", "boot_count", "security_counter", "slot", "trial"),
    *("last_reason", "reserved", "image_digest", "policy_digest", "signer_id", "boot_seed"),
    *("alias_private", "instance_id", "reserved", "lifecycle", "boot_digest"),
    *("implementation_id", "identity_public", "alias_public", "certificate_length"),
    "certificate",
)


@dataclass(frozen=True, slots=True)
class Handoff:
    """What boot told the image."""

    lifecycle: int
    boot_count: int
    security_counter: int
    slot: int
    trial: int
    last_reason: int
    boot_digest: bytes
    image_digest: bytes
    policy_digest: bytes
    signer_id: bytes
    boot_seed: bytes
    implementation_id: bytes
    instance_id: bytes
    identity_public: bytes
    alias_public: bytes
    alias_private: bytes
    certificate: bytes

    @classmethod
    def parse(cls, data: bytes) -> Handoff:
        facts = dict(zip(_NAMES, _HANDOFF.unpack_from(data), strict=True))
        assert (facts["magic"], facts["version"]) == (0x4F484643, 2)
        facts["certificate"] = facts["certificate"][: facts["certificate_length"]]
        return cls(**{name: facts[name] for name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class Kit:
    """Everything one test session builds once."""

    board: Board
    key: ec.EllipticCurvePrivateKey
    boot: Boot
    bodies: tuple[bytes, bytes]

    def image(
        self,
        slot: int,
        version: str = "1.0.0",
        counter: int = 1,
        key: ec.EllipticCurvePrivateKey | None = None,
    ) -> bytes:
        content = ImageContent(Version.parse(version), counter, b"\x11" * 32, b"\x22" * 32)
        return wrap_image(
            self.bodies[slot], slot, self.board, content, LocalSigner(key or self.key)
        )

    def flash(self, path: Path, *images: bytes, uds: bytes | None = None) -> FlashFile:
        """A fresh board's flash with the images in slot A and B."""
        flash = FlashFile.factory(self.board, path, uds)
        for slot, image in enumerate(images):
            flash.write_slot(slot, image)
        return flash

    def on(self, flash: FlashFile) -> Machine:
        return Machine(self.board, self.boot.elf, flash)

    def records(self, flash: FlashFile) -> dict[int, bytes]:
        """The live records of the store."""
        store, unit = self.board.flash.store, max(4, self.board.flash.program_size)
        return records_in(flash.path.read_bytes(), store.offset, store.bank_size, unit)

    def last_reason(self, flash: FlashFile) -> int:
        """The reason boot recorded; 0 without a record."""
        return self.records(flash).get(1, bytes(4))[3]


def build_kit(out: Path) -> Kit:
    """Boot and payload for the virtual board, signed by a fixed key of the tests."""
    board = boards.load("mps2-an385")
    key = ec.derive_private_key(0xC0FF8E7, ec.SECP256R1())
    toolchain = zig_toolchain()
    boot = build_boot(board, Trust.of([key.public_key()]), toolchain, find_tree(MBEDTLS), out)
    sources = [HERE / "payload/payload.c", RUNTIME / "boot/string.c"]
    sources += sorted((RUNTIME / "store").glob("*.c"))
    own = {"boot_start.c", "boot_lock.c"}  # of boot, by what it keeps to itself
    sources += [path for path in board.boot_sources if path.name not in own]
    a, b = (link_payload(board, sources, slot, out) for slot in (0, 1))
    return Kit(board, key, boot, (a, b))


def link_payload(board: Board, sources: list[Path], slot: int, out: Path) -> bytes:
    """A test's image for one slot, without header: `sources` over a boot built in `out`."""
    toolchain, core, config = zig_toolchain(), CORES[board.core], out / "boot"
    includes = (config, RUNTIME / "include", RUNTIME / "libc", *board.include_directories)
    flags = ("-Wall", "-Wextra", "-Werror")
    (config / "image_config.h").write_text(image_config(constants(EVERYTHING)), encoding="utf-8")
    roots = Roots({"tests": HERE, "runtime": RUNTIME, "boards": boards.model.ROOT, "made": config})
    jobs = [CompileJob(source, includes, (), flags) for source in sources]
    objects = toolchain.compile(jobs, core, roots)
    addresses = {"image_base": board.slot(slot).base + HEADER_SIZE, "payload_ram": PAYLOAD_RAM}
    script = HERE / "payload/payload.ld"
    elf = toolchain.link(objects, script, out / f"{sources[0].stem}_{slot}.elf", core, addresses)
    with elf.open("rb") as file:
        sections = {section.name: section for section in ELFFile(file).iter_sections()}
        return bytes(sections[".text"].data())


def handoff_of(machine: Machine) -> Handoff:
    """What the payload prints when it starts."""
    word, left, _, _, data = machine.line().split()
    assert word == "READY"
    assert left == "0", f"boot left {left} words of its RAM"
    return Handoff.parse(bytes.fromhex(data))


def answers_in_recovery(machine: Machine) -> bool:
    """Whether boot's SMP server echoes (os group 0, command 0); fails if an image speaks."""
    body = bytes.fromhex("a16164626869")  # {"d": "hi"}
    packet = struct.pack(">BBHHBB", 2, 0, len(body), 0, 7, 0) + body
    framed = packet + struct.pack(">H", binascii.crc_hqx(packet, 0))
    line = base64.b64encode(struct.pack(">H", len(framed)) + framed)
    for _ in range(120):  # sent before boot listens, the UART's one byte is all that is kept
        machine.send(b"\x06\x09" + line + b"\n")
        try:
            answer = machine.read_until(b"\n", 0.5)
        except AssertionError:
            continue
        assert not answer.startswith(b"READY"), "an image runs"
        return b"\x06\x09" in answer
    return False
