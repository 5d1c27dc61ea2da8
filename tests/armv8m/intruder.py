# SPDX-License-Identifier: Apache-2.0
"""The whole Non-secure side, taken over: a hostile image on `mps2-an505` that obeys the tests."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from elftools.elf.elffile import ELFFile

import boards
from attest import certificate, dice, p256
from attest.evidence import Evidence
from attest.psa_token import verify
from boards.model import Board
from firmware.compiler.boot_build import RUNTIME, Boot, build_boot
from firmware.compiler.object_cache import Roots
from firmware.compiler.sources import MBEDTLS, find_tree
from firmware.compiler.toolchain import CORES, CompileJob, zig_toolchain
from firmware.image.format import HEADER_SIZE, Version
from firmware.image.reader import read_image
from firmware.image.signer import LocalSigner
from firmware.image.trust import Trust
from firmware.image.writer import ImageContent, wrap_image
from tests.qemu import FlashFile, Machine

PROGRAM = Path(__file__).parent / "program"
BOARD = boards.load("mps2-an505")
KEY = ec.derive_private_key(0xC0FF8E7, ec.SECP256R1())
UDS = hashlib.sha256(b"coffret secure world test").digest()
COUNTER = 5
POLICY = b"\x11" * 32
ENCLAVES = 1

# enum gateway and enum gateway_error (boards/cores/armv8m/gateways.h).
Gateway = IntEnum(
    "Gateway",
    "VERSION_OF SHA256_INIT SHA256_UPDATE SHA256_FINISH CHECK_IMAGE ATTEST ATTEST_READ "
    "FLASH_ERASE FLASH_PROGRAM STORE_GET STORE_PUT",
    start=0,
)
BUSY, DENIED, POINTER, FAILED = -1000, -1001, -1002, -1003
STATE_AT = 0x800  # in the buffer: where orders t and i expect it too
MEMORY, BUS, USAGE = 4, 5, 6  # exception numbers


def attest_state(enclaves: int = ENCLAVES, subject: int = 0, gates: int = 0) -> bytes:
    """struct attest_state (include/coffret/attest.h): an hour up, an empty log."""
    counts = struct.pack("<44xI128x", enclaves)
    one = struct.pack("<I16x16xI192x36x", subject, gates)
    return struct.pack("<I", 3600) + counts[4:] + one


@dataclass(frozen=True, slots=True)
class Fault:
    """How an attempt ended: the exception, CFSR and MMFAR that the Non-secure side saw."""

    exception: int
    status: int
    address: int

    @property
    def passed_on(self) -> bool:
        """Whether it was the Secure world that stopped it."""
        return self.status == 0


@dataclass(frozen=True, slots=True)
class Kit:
    """Boot and the hostile image, built once."""

    boot: Boot
    image: bytes

    def flash(self, path: Path) -> FlashFile:
        """A fresh board with the image in slot A and a known secret."""
        flash = FlashFile.factory(BOARD, path, UDS)
        flash.write_slot(0, self.image)
        return flash

    @property
    def alias(self) -> ec.EllipticCurvePrivateKey:
        """The attestation key of this image, from the secret, by the oracle."""
        facts = read_image(self.image)
        descriptor = dice.configuration_descriptor(self.boot.digest, POLICY, COUNTER, BOARD.name)
        configuration = hashlib.sha256(descriptor).digest()
        inputs = dice.Inputs(facts.digest, configuration, facts.key_hash, dice.Mode.DEBUG)
        return dice.key_pair(dice.attestation_cdi(UDS, inputs))


class Intruder:
    """The running hostile image. `ready` again after every reset."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.buffer = self.components = 0
        self.ready()

    def ready(self, seconds: float = 120) -> None:
        """Waits for its first line. AssertionError if it does not come."""
        word, buffer, components = self.machine.line(seconds).split()
        assert word == "READY"
        self.buffer, self.components = int(buffer, 16), int(components, 16)

    def order(self, letter: str, *numbers: int, seconds: float = 120) -> Fault | list[int]:
        """One order; the numbers of its answer."""
        words = [letter, *(f"{number & 0xFFFF_FFFF:08x}" for number in numbers)]
        word, *found = self.machine.ask(" ".join(words), seconds).split()
        values = [int(value, 16) for value in found]
        if word == "fault":
            return Fault(*values)
        assert word == "ok", f"{words}: {word} {found}"
        return values

    def gateway(self, gateway: Gateway, *arguments: int) -> int:
        """The answer of a gateway to the privileged side."""
        return self._answer("g", gateway, arguments, ())

    def gateway_of_task(self, gateway: Gateway, *arguments: int, granted: bool = True) -> int:
        """The same for unprivileged code, with or without the monitor's grant of boot."""
        return self._answer("u", gateway, arguments, (int(granted),))

    def _answer(
        self, letter: str, gateway: Gateway, arguments: tuple[int, ...], rest: tuple[int, ...]
    ) -> int:
        padded = (*arguments, 0, 0, 0)[:3]
        found = self.order(letter, gateway, *padded, *rest)
        assert isinstance(found, list), found
        return struct.unpack("<i", struct.pack("<I", found[0]))[0]

    def put(self, data: bytes, offset: int = 0) -> int:
        """Writes to its buffer, 32 bytes at a time; the address."""
        for start in range(0, len(data), 32):
            piece = data[start : start + 32].ljust(32, b"\0")
            answer = self.machine.ask(f"b {offset + start:08x} {piece.hex()}")
            assert answer == "ok"
        return self.buffer + offset

    def read(self, address: int, length: int) -> bytes:
        """Memory that it can read."""
        word, data = self.machine.ask(f"d {address:08x} {length:08x}").split()
        assert word == "ok"
        return bytes.fromhex(data)

    def evidence(self, nonce: bytes, kit: Kit) -> tuple[Evidence, bytes]:
        """A token for `nonce`, verified under the key the device must have, and its certificate."""
        state = self.put(attest_state(), STATE_AT)
        length = self.gateway(Gateway.ATTEST, self.put(nonce), len(nonce), state)
        assert length > 0, length
        assert self.gateway(Gateway.ATTEST_READ, 0, self.buffer + 0x400, length) == 0
        reply = self.read(self.buffer + 0x400, length)
        token, document = struct.unpack_from("<HH", reply)
        assert len(reply) == 4 + token + document
        body, proof = reply[4 : 4 + token], reply[4 + token :]
        assert certificate.verify(proof, dice.key_pair(UDS).public_key()).alias_key == (
            p256.from_xy(p256.xy(kit.alias.public_key()))
        )
        return verify(body, kit.alias.public_key()), proof


def build_kit(out: Path) -> Kit:
    """Boot for the board and the signed hostile image for slot A."""
    toolchain, core = zig_toolchain(), CORES[BOARD.core]
    boot = build_boot(BOARD, Trust.of([KEY.public_key()]), toolchain, find_tree(MBEDTLS), out)
    config = out / "boot"
    drivers = [path for path in BOARD.image_sources if path.parent.name == "mps2"]
    sources = [PROGRAM / "intruder.c", RUNTIME / "boot/string.c"]
    sources += [path for path in drivers if not path.stem.endswith("_interrupts")]
    sources += [path for path in BOARD.boot_sources if path.stem == "port_polled"]
    includes = (config, RUNTIME / "include", RUNTIME / "libc", *BOARD.include_directories)
    roots = Roots(
        {"tests": PROGRAM, "runtime": RUNTIME, "boards": boards.model.ROOT, "made": config}
    )
    flags = ("-Wall", "-Wextra", "-Werror")
    objects = toolchain.compile([CompileJob(s, includes, (), flags) for s in sources], core, roots)
    addresses = {
        "image_base": BOARD.slot(0).base + HEADER_SIZE,
        "intruder_ram": BOARD.memory.ram.base + 0x10_0000,
    }
    elf = toolchain.link(objects, PROGRAM / "intruder.ld", out / "intruder.elf", core, addresses)
    with elf.open("rb") as file:
        sections = {section.name: section for section in ELFFile(file).iter_sections()}
        body = bytes(sections[".text"].data())
    content = ImageContent(Version.parse("1.2.3"), COUNTER, POLICY, b"\x22" * 32)
    return Kit(boot, wrap_image(body, 0, BOARD, content, LocalSigner(KEY)))


def secure_places(board: Board) -> dict[str, int]:
    """One address of everything that must stay Secure, by what it is."""
    flash, memory = board.flash, board.memory
    assert memory.secure_state is not None
    return {
        "device secret": flash.base + flash.secrets.offset,
        "record store": flash.base + flash.store.offset,
        "unused flash": flash.base + flash.size - 4,
        "boot": memory.boot.base,
        "boot, by its other address": memory.boot.base - 0x1000_0000,
        "gateways": memory.boot.base + 0x120,
        "boot's stack": memory.boot_ram.base,
        "the Secure state": memory.secure_state.base,
        "the Secure state, by its other address": memory.secure_state.base - 0x1000_0000,
        "the image's RAM, by its other address": memory.ram.base + 0x1000_0000,
        "memory protection controller": 0x5800_8000,
        "its other address": 0x4800_8000,
        "security control": 0x5008_0000,
        "management port, by its other address": 0x5020_0000,
        "vendor space": 0xF010_0000,
    }
