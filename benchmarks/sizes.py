# SPDX-License-Identifier: Apache-2.0
"""Bytes of flash and of memory."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.measure import Measure
from benchmarks.stock_port import build_stock_port
from benchmarks.workshop import Workshop

_PARTS = ("boot", "monitor", "vm", "bytecode", "tables", "image")


def sizes(workshop: Workshop) -> Iterator[Measure]:
    """Each part of heart_diary beside the same part of hello, and both beside MicroPython's own
    port to QEMU, built from the same sources by the same compiler.
    """
    stock = build_stock_port(workshop.means().toolchain, workshop.folder / "stock").size
    facts = {name: workshop.example(name).facts for name in ("hello", "heart_diary")}
    small, large = (each.sizes.model_dump() for each in facts.values())
    for part in _PARTS:
        name = f"size of {part}, heart_diary"
        yield Measure.beside(name, large[part], "bytes", "hello", small[part])
    for name, each in facts.items():
        image = each.sizes.image
        yield Measure.beside(f"size of image, {name}", image, "bytes", "stock port", stock)
    ram = facts["hello"].ram
    (enclave,) = ram.enclaves.values()
    yield Measure.beside("memory of the monitor", ram.monitor, "bytes", "hello's", enclave)
