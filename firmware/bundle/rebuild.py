# SPDX-License-Identifier: Apache-2.0
"""Whether a bundle is what its sources make: built again, and compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from boards.errors import USAGE, CoffretError
from firmware.bundle.contents import DFU_FILE, HEX_FILE, UF2_FILE
from firmware.bundle.folder import LMS_KEYS, Bundle
from firmware.bundle.recorded_sources import SOURCES_FILE, unpack_sources
from firmware.bundle.recorded_trust import TRUST_FILE, read_trust
from firmware.image.trust import Trust

# What a person without the signing key cannot make again: what is signed with it (a file for the
# first flash too, which has an image in it); symbols.json names the images' digests. The images'
# code is compared as elf/slot_a.elf and elf/slot_b.elf.
_SIGNED_FILES = frozenset(
    (
        *("slot_a.bin", "slot_b.bin", "corim.cbor", "provenance.intoto.jsonl"),
        *(UF2_FILE, DFU_FILE, HEX_FILE),
    )
)
_KEYED_FILES = _SIGNED_FILES | {"symbols.json", "signing.pub.pem"}
# Where it is not recorded whom boot trusts, or an LMS key is among them, whose signatures are
# others each time and without which nothing can be built for it.
_BOOT_FILES = frozenset(("boot.elf", "boot.bin", LMS_KEYS))
# An image's boot record names its signer, so its digest covers that name.
_KEYED_DIGESTS = frozenset(("image_a", "image_b"))


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs: in the bundle, and as built again."""

    what: str
    bundle: str
    again: str

    def __str__(self) -> str:
        return f"{self.what}: {self.bundle[:16]} in the bundle, {self.again[:16]} built again"


def differences(bundle: Bundle, again: Bundle, trust: Trust | None) -> tuple[Difference, ...]:
    """What differs, inputs first, since they explain the rest. Empty: the bundle reproduces.

    `trust` is what `trust_to_use` says of the bundle. What whoever builds again cannot make is left
    out: see `left_out`.
    """
    return tuple(_differences(bundle, again, trust))


def recorded_appliance(bundle: Bundle, folder: Path) -> Path:
    """The manifest of the appliance in the bundle, unpacked into a new folder.

    Raises CoffretError: the bundle has no sources (2), or they cannot be unpacked (1).
    """
    if SOURCES_FILE not in bundle.facts.contents:
        what = f"{bundle.folder}: has no {SOURCES_FILE}: an older coffret built it"
        raise CoffretError(what, "name the appliance's folder behind the bundle", USAGE)
    folder.mkdir()
    return unpack_sources(bundle.folder / SOURCES_FILE, folder)


def same_key(bundle: Bundle, again: Bundle) -> bool:
    """Whether one key signed both."""
    return bundle.facts.reference.signer_id == again.facts.reference.signer_id


def trust_to_use(bundle: Bundle) -> Trust | None:
    """Whom boot was built to trust, if that is recorded and can be built again; else None.

    Raises CoffretError (1): the record is none.
    """
    if TRUST_FILE not in bundle.facts.contents:
        return None
    trust = read_trust(bundle.folder / TRUST_FILE)
    return None if trust.post_quantum else trust


def left_out(bundle: Bundle, again: Bundle, trust: Trust | None) -> str:
    """What is not compared, and why; empty: everything is."""
    what = "signatures and boot" if trust is None else "signatures"
    if not same_key(bundle, again):
        return f"{what} left out: another key signs here"
    if LMS_KEYS in bundle.facts.contents:
        return f"{what} left out: LMS signatures are others each time"
    if trust is not None and trust.threshold > 1:
        return f"{what} left out: others signed too"
    return ""


def _names_left_out(bundle: Bundle, again: Bundle, trust: Trust | None) -> frozenset[str]:
    if not left_out(bundle, again, trust):
        return frozenset()
    names = _SIGNED_FILES if same_key(bundle, again) else _KEYED_FILES | _KEYED_DIGESTS
    if trust is None:
        names |= _BOOT_FILES | {TRUST_FILE}
    return names


def _differences(bundle: Bundle, again: Bundle, trust: Trust | None) -> Iterator[Difference]:
    one, other = bundle.facts, again.facts
    skipped = _names_left_out(bundle, again, trust)
    for kind, mine, theirs in (
        ("input", one.inputs, other.inputs),
        ("tool", one.tools, other.tools),
        ("switch", one.switches, other.switches),
        ("digest", one.digests.model_dump(), other.digests.model_dump()),
        ("file", one.contents, other.contents),
    ):
        for name in sorted((mine.keys() | theirs.keys()) - skipped):
            if mine.get(name) != theirs.get(name):
                here, there = mine.get(name, "missing"), theirs.get(name, "missing")
                yield Difference(f"{kind} {name}", here, there)
