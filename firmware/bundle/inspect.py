# SPDX-License-Identifier: Apache-2.0
"""A bundle in words: what is in it and how large each part is."""

from __future__ import annotations

from collections.abc import Iterator

from firmware.bundle.folder import Bundle
from firmware.image.format import HEADER_SIZE

_PARTS = (
    ("monitor", "monitor, drivers and services"),
    ("vm", "virtual machine"),
    ("bytecode", "modules as bytecode"),
    ("tables", "tables of the appliance"),
)


def report(bundle: Bundle) -> str:
    """A page for a person; sizes in bytes."""
    return "\n".join(_lines(bundle))


def _lines(bundle: Bundle) -> Iterator[str]:
    facts = bundle.facts
    counter = f"security counter {facts.security_counter}"
    yield f"{facts.appliance} {facts.version} for {facts.board}, {counter}"
    yield ""
    yield "flash"
    sizes = facts.sizes.model_dump()
    listed = sum(sizes[name] for name, _ in _PARTS)
    for name, says in _PARTS:
        yield f"  {sizes[name]:>8,}  {says}"
    around = facts.sizes.image - listed
    yield f"  {around:>8,}  header of {HEADER_SIZE} and signature"
    yield f"  {facts.sizes.image:>8,}  image, in each of two slots"
    yield f"  {facts.sizes.boot:>8,}  boot"
    yield ""
    yield "ram"
    yield f"  {facts.ram.monitor:>8,}  monitor"
    for name, size in facts.ram.enclaves.items():
        yield f"  {size:>8,}  enclave {name}"
    yield ""
    yield "digests (SHA-256)"
    for name, digest in (
        ("image, slot A", facts.digests.image_a),
        ("image, slot B", facts.digests.image_b),
        ("flow policy", facts.digests.policy),
        ("boot", facts.reference.boot),
        ("runtime", facts.reference.runtime),
        ("signing key", facts.reference.signer_id),
    ):
        yield f"  {digest}  {name}"
    for image, name in zip(bundle.images, "AB", strict=True):
        if image.lms is not None:
            leaf = int.from_bytes(image.lms.value[:4], "big")
            yield f"  {image.lms.key_hash.hex()}  LMS key, slot {name}: leaf {leaf}"
