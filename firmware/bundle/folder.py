# SPDX-License-Identifier: Apache-2.0
"""The bundle: everything a build gives, in one directory that is checked as a whole when read.

`bundle.json` has the facts and the SHA-256 of every other file. A bundle that loads is consistent:
its images are signed by its key, and name its policy, its SBOM, its board and its version. Whether
that key is to be trusted is for the reader to know (`attest` checks the signed reference values).
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import ValidationError

from boards.errors import ENVIRONMENT, NO, USAGE, CoffretError
from firmware.bundle.facts import Facts
from firmware.bundle.provenance import ProvenanceError, check_provenance
from firmware.image.format import ImageError
from firmware.image.lms import LmsError, LmsPublicKey, read_pems
from firmware.image.reader import ImageFacts, check_digest, check_lms, verify_image
from firmware.image.trust import key_hash

FACTS_FILE = "bundle.json"
SIGNING_KEY = "signing.pub.pem"
LMS_KEYS = "lms_keys.pem"  # of a boot that asks for an LMS signature
RADIO_FILE = "radio.bin"
FORMAT: Literal[1] = 1
_FACTS_MAX = 4 << 20
_FILE_MAX = 64 << 20
_MEND = "build it again with `coffret build`"


class BundleError(CoffretError):
    """A bundle is missing, damaged or contradicts itself; names the file and the key."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that was checked as a whole. `images` by slot."""

    folder: Path
    facts: Facts
    images: tuple[ImageFacts, ImageFacts]

    def path(self, name: str) -> Path:
        """The absolute path of `slot_a`, `boot`, ... Raises KeyError."""
        files = self.facts.files.model_dump()
        return (self.folder / str(files[name])).resolve()


def load_bundle(folder: Path, *, unsigned: bool = False) -> Bundle:
    """Reads and checks a bundle from hostile bytes. BundleError: 2 not a bundle, 1 damaged.

    `unsigned`: images that its key has not signed yet will do; all else must hold.
    """
    path = folder / FACTS_FILE
    try:
        raw = json.loads(_read(path, _FACTS_MAX))
        facts = Facts.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "bundle"
        raise BundleError(f"{path}: {key}: {first['msg']}", _MEND) from None
    except ValueError as error:
        raise BundleError(f"{path}: {error}", _MEND) from None
    except RecursionError:
        raise BundleError(f"{path}: nested too deep", _MEND) from None
    _check_contents(folder, facts)
    signer = _signing_key(folder)
    lms_keys = lms_keys_of(folder, facts)
    images = tuple(_image(folder, facts, signer, lms_keys, slot, unsigned) for slot in (0, 1))
    if all(image.signatures and image.key_hash == key_hash(signer) for image in images):
        _check_provenance(folder, facts, signer)
    return Bundle(folder, facts, (images[0], images[1]))


def _check_contents(folder: Path, facts: Facts) -> None:
    """Every file is there, as recorded, and every file that is referred to is recorded."""
    wanted = {*facts.files.model_dump().values(), SIGNING_KEY}
    for name in sorted(wanted - set(facts.contents)):
        raise BundleError(f"{folder / FACTS_FILE}: contents: {name} is missing", _MEND)
    for name, digest in sorted(facts.contents.items()):
        if hashlib.sha256(_read(folder / name, _FILE_MAX)).hexdigest() != digest:
            raise BundleError(f"{folder / name}: is not the file that was built", _MEND, NO)
    for key, file, said in (
        ("digests.policy", facts.files.policy, facts.digests.policy),
        ("reference.boot", "boot.bin", facts.reference.boot),
        ("reference.radio", RADIO_FILE, facts.reference.radio),
    ):
        if facts.contents.get(file) != said:
            raise BundleError(f"{folder / FACTS_FILE}: {key}: is not that of {file}", _MEND, NO)


def _signing_key(folder: Path) -> ec.EllipticCurvePublicKey:
    path = folder / SIGNING_KEY
    try:
        key = load_pem_public_key(_read(path, _FACTS_MAX))
    except ValueError:
        raise BundleError(f"{path}: is no public key", _MEND) from None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise BundleError(f"{path}: is no P-256 key", _MEND)
    return key


def lms_keys_of(folder: Path, facts: Facts) -> tuple[LmsPublicKey, ...]:
    """The LMS keys of the bundle's boot; none: it asks for no LMS signature."""
    if LMS_KEYS not in facts.contents:
        return ()
    path = folder / LMS_KEYS
    try:
        return read_pems(_read(path, _FACTS_MAX).decode())
    except (LmsError, UnicodeDecodeError) as error:
        raise BundleError(f"{path}: {error}", _MEND) from None


def _image(
    folder: Path,
    facts: Facts,
    key: ec.EllipticCurvePublicKey,
    lms_keys: tuple[LmsPublicKey, ...],
    slot: int,
    unsigned: bool,
) -> ImageFacts:
    """The image of a slot: signed, and what the facts say of it."""
    path = folder / (facts.files.slot_a, facts.files.slot_b)[slot]
    data = _read(path, _FILE_MAX)
    try:
        image = check_digest(data)
        complete = bool(image.signatures) and image.key_hash == key_hash(key)
        if not complete and not unsigned and not image.signatures:
            mend = f"let the holder of its key sign it: coffret sign {folder}"
            raise BundleError(f"{path}: it is not signed", mend, NO)
        if complete or not unsigned:
            verify_image(data, key)
        if image.lms is not None or (lms_keys and complete):
            check_lms(image, lms_keys)
    except ImageError as error:
        raise BundleError(f"{path}: {error.message}", _MEND, NO) from None
    expected = {
        "digest": (facts.digests.image_a, facts.digests.image_b)[slot],
        "policy digest": facts.digests.policy,
        "SBOM digest": facts.contents[facts.files.sbom],
        "signing key": facts.reference.signer_id,
        "board": facts.board,
        "version": facts.version,
        "security counter": facts.security_counter,
    }
    found = {
        "digest": image.digest.hex(),
        "policy digest": image.policy_digest.hex(),
        "SBOM digest": image.sbom_digest.hex(),
        "signing key": key_hash(key).hex(),
        "board": image.board,
        "version": str(image.version),
        "security counter": image.security_counter,
    }
    for what, value in expected.items():
        if found[what] != value:
            raise BundleError(f"{path}: its {what} is {found[what]}, not {value}", _MEND, NO)
    return image


def _check_provenance(folder: Path, facts: Facts, key: ec.EllipticCurvePublicKey) -> None:
    """The signed statement of how the bundle was built is about these very files."""
    path = folder / facts.files.provenance
    about = {name: digest for name, digest in facts.contents.items() if name != path.name}
    try:
        check_provenance(_read(path, _FACTS_MAX), about, key)
    except ProvenanceError as error:
        raise BundleError(f"{path}: {error}", _MEND, NO) from None


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        what = (error.strerror or "cannot be read").lower()
        raise BundleError(f"{path}: {what}", "name a bundle that `coffret build` made") from None
    if len(data) > limit:
        raise BundleError(f"{path}: is longer than {limit} bytes", _MEND)
    return data


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A new directory beside `target` that becomes `target` when the block ends without an error.

    Raises BundleError when something that is not a bundle is in the way.
    """
    if target.exists() and not _replaceable(target):
        raise BundleError(
            f"{target}: exists and is not a bundle", "choose another directory with -o", USAGE
        )
    token = secrets.token_hex(6)
    fresh = target.with_name(f".{target.name}.{token}.new")
    try:
        fresh.mkdir(parents=True)
    except OSError as error:
        what = f"{target}: cannot be made: {(error.strerror or 'unknown').lower()}"
        raise BundleError(what, "choose another directory with -o", ENVIRONMENT) from None
    try:
        yield fresh
        _exchange(fresh, target, target.with_name(f".{target.name}.{token}.old"))
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _replaceable(target: Path) -> bool:
    return target.is_dir() and ((target / FACTS_FILE).is_file() or not any(target.iterdir()))


def _exchange(fresh: Path, target: Path, old: Path) -> None:
    # A directory cannot be renamed onto one that has files: the old bundle steps aside first.
    if target.exists():
        target.rename(old)
        try:
            fresh.rename(target)
        except OSError:
            old.rename(target)
            raise
        shutil.rmtree(old, ignore_errors=True)
    else:
        fresh.rename(target)


def write_files(folder: Path, files: Mapping[str, bytes]) -> dict[str, str]:
    """Writes the files of a bundle into a fresh directory; returns their SHA-256, hex, by name."""
    for name, data in sorted(files.items()):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    return {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
