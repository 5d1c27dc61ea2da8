# SPDX-License-Identifier: Apache-2.0
"""Instructions from reset to the monitor."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

import boards
from benchmarks.counter import InstructionCounter
from benchmarks.measure import Measure
from benchmarks.workshop import BOARD, Workshop
from boards import Board
from firmware.bundle.folder import SIGNING_KEY
from firmware.compiler.boot_build import build_boot
from firmware.compiler.sources import MBEDTLS, find_tree
from firmware.compiler.toolchain import zig_toolchain
from firmware.image.reader import read_image
from firmware.image.trust import Trust, TrustedKey, TrustedLmsKey
from firmware.image.trust_file import load_public
from firmware.image.writer import add_lms_signature
from flasher.virtual import make_flash
from tests.lms import make_lms_key


def starts(workshop: Workshop) -> Iterator[Measure]:
    """At the very first start, at the second, which checks a MAC instead of the signature, and at
    the first one of an update.
    """
    board = boards.load(BOARD)
    bundle = workshop.example("hello")
    flash = workshop.folder / "starts.flash"
    image = bundle.path("slot_a").read_bytes()
    make_flash(board, flash, image)
    monitor = address(bundle.folder / "elf" / "slot_a.elf", "monitor_start")
    boot = bundle.path("boot")
    choose, hash_, compare, verify = (
        address(boot, name) for name in ("choose_slot", "sha256", "memory_compare", "p256_verify")
    )
    with InstructionCounter(board, boot, flash) as counter:
        counter.run_to(choose)  # before it, boot hashes itself
        hashing = -counter.run_to(hash_) + counter.run_to(compare)  # the digest is compared next
        checking = -counter.run_to(verify) + counter.run_to(compare)  # it ends in a comparison
        first = counter.run_to(monitor)
    with InstructionCounter(board, boot, flash) as counter:
        second = counter.run_to(monitor)
    put_other_image(board, flash, bundle.path("slot_b").read_bytes())
    with InstructionCounter(board, boot, flash) as counter:
        update = counter.run_to(address(bundle.folder / "elf" / "slot_b.elf", "monitor_start"))
    yield Measure.beside("second start", second, "instructions", "first start", first)
    yield Measure.beside("second start", second, "instructions", "image bytes", len(image))
    once = "hashing the image once"
    yield Measure.beside("second start", second, "instructions", once, hashing)
    once = "hashing and one signature check"
    yield Measure.beside("first start", first, "instructions", once, hashing + checking)
    yield Measure.beside("start of an update", update, "instructions", once, hashing + checking)
    for name, cost in lms_checks(workshop, image, bundle.folder / SIGNING_KEY).items():
        what = f"check of an LMS signature, {name}"
        yield Measure.beside(what, cost, "instructions", "of an ECDSA signature", checking)


def put_other_image(board: Board, flash: Path, image: bytes) -> None:
    """Puts an image that was never started into slot B, and none into slot A."""
    with flash.open("r+b") as file:
        file.seek(board.flash.slot_a.offset)
        file.write(b"\xff" * board.flash.slot_a.size)
        file.seek(board.flash.slot_b.offset)
        file.write(image)


def lms_checks(workshop: Workshop, image: bytes, signing_key: Path) -> dict[str, int]:
    """What one costs on average and at the very most, from two that were counted.

    The cost is linear in the steps of the one-time signature's 34 chains: 255 each, less the digits
    of the digest and of their sum (RFC 8554 section 4.6).
    """
    board = boards.load(BOARD)
    folder = workshop.folder / "lms"
    key = make_lms_key(folder / "lms.key", real=2)
    signer = TrustedKey(load_public(signing_key))
    trust = Trust((signer,), lms_keys=(TrustedLmsKey(key.public_key),))
    boot = build_boot(board, trust, zig_toolchain(), find_tree(MBEDTLS), folder).elf
    places = [address(boot, name) for name in ("lms_verify", "memory_compare")]
    counted: dict[int, int] = {}
    for number in range(2):
        flash = folder / f"{number}.flash"
        signed = add_lms_signature(image, key)
        make_flash(board, flash, signed)
        with InstructionCounter(board, boot, flash) as counter:
            steps = chain_steps(signed, key.public_key.identifier)
            counted[steps] = -counter.run_to(places[0]) + counter.run_to(places[1])
    (one, cost), (other, more) = counted.items()
    step = (more - cost) / (other - one)
    # The sum is 32 * 127.5 on average, 15.5 in its upper byte; at most 32 * 255 = 0x1FE0.
    mean, most = 32 * 127.5 + (255 - 15.5) + 127.5, 32 * 255 + (255 - 0x1F) + (255 - 0xE0)
    return {name: round(cost + (n - one) * step) for name, n in (("mean", mean), ("worst", most))}


def chain_steps(image: bytes, identifier: bytes) -> int:
    """Steps that whoever checks the image's LMS signature has to make."""
    facts = read_image(image)
    assert facts.lms is not None
    leaf, salt = facts.lms.value[:4], facts.lms.value[8:40]
    digest = hashlib.sha256(identifier + leaf + b"\x81\x81" + salt + facts.digest).digest()
    left = sum(255 - digit for digit in digest)  # and that is the sum that is signed, too
    return left + (255 - (left >> 8)) + (255 - (left & 0xFF))


def address(elf: Path, symbol: str) -> int:
    """Where a function begins."""
    with elf.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        found = table.get_symbol_by_name(symbol) or []
        assert len(found) == 1, f"{symbol} is not one symbol of {elf}"
        return int(found[0]["st_value"])
