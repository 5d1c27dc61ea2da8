# SPDX-License-Identifier: Apache-2.0
"""Private LMS keys: files that know which of their leaves are used up.

Two signatures by one leaf let anybody forge. So the file says the next leaf, and the rule is: the
file on the disk says that a leaf is used before its signature exists. A crash at any moment wastes
leaves and reuses none; two processes take turns. What no program can guard is the file's past: a
copy of it, or a backup put back, has leaves in it that are used (docs/operators.md).
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

try:
    import fcntl
except ImportError:  # not POSIX, and nothing here to keep two processes apart with
    fcntl = None  # type: ignore[assignment]

from attest.keys import KeyFileError, read_private_file, write_secret
from attest.paths import keys_folder
from boards.errors import ENVIRONMENT, USAGE
from firmware.image.lms import (
    HEIGHT,
    IDENTIFIER,
    LMS_TYPE,
    NODE,
    OTS_TYPE,
    SIGNATURES,
    LmsPublicKey,
    pyhsslms,
)

ROLE = re.compile(r"lms(-[a-z0-9][a-z0-9_-]{0,31})?")
SUFFIX = ".key"
_FORMAT: Literal["coffret LMS key 1"] = "coffret LMS key 1"
_MAX = 128 << 10
_LEAF, _INNER = b"\x82\x82", b"\x83\x83"  # D_LEAF, D_INTR of RFC 8554 section 5.3


class _File(BaseModel):
    """The file: JSON. `leaves`: the lowest nodes of the tree, public, which cost ten seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: Literal["coffret LMS key 1"]
    next: Annotated[int, Field(ge=0, le=SIGNATURES)]  # leaves below it are used
    identifier: Annotated[str, Field(pattern=rf"^[0-9a-f]{{{2 * IDENTIFIER}}}$")]
    seed: Annotated[str, Field(pattern=rf"^[0-9a-f]{{{2 * NODE}}}$")]
    leaves: Annotated[str, Field(max_length=2 * SIGNATURES * NODE)]  # base64


@dataclass(frozen=True, slots=True, repr=False)
class LmsKey:
    """A private LMS key and the file that guards it. Its leaves are read anew at each use."""

    role: str
    path: Path
    public_key: LmsPublicKey
    remaining: int  # signatures, when it was read

    def __repr__(self) -> str:
        return f"LmsKey({self.role!r}, {str(self.path)!r})"

    @property
    def key_hash(self) -> bytes:
        """SHA-256 of the SubjectPublicKeyInfo."""
        return self.public_key.key_hash

    def sign_digest(self, digest: bytes) -> bytes:
        """Sign 32 bytes; the leaf is used up on the disk before this begins.

        Raises KeyFileError: the key is exhausted (2), or its file cannot be read or written (3).
        """
        with _alone(self.path):
            file = _read(self.path)
            leaf = file.next
            if leaf == SIGNATURES:
                raise KeyFileError(
                    f"{self.path}: the key is used up: it has made its {SIGNATURES} signatures",
                    "coffret keys new lms-NAME makes another; boards take it only if their boot "
                    "was built with it (docs/operators.md, LMS)",
                    USAGE,
                )
            _replace(self.path, file.model_copy(update={"next": leaf + 1}))
        signature = _signature(file, leaf, digest)
        # A computation that went wrong must not leave: it could give the leaf away.
        if not self.public_key.is_signature(digest, signature):
            raise KeyFileError(
                f"{self.path}: made a false signature, which was thrown away",
                "the file is damaged: make another key",
                ENVIRONMENT,
            )
        return signature


def path_of(role: str, folder: Path | None = None) -> Path:
    """The file of `lms` or `lms-NAME`. Raises KeyFileError for another role."""
    if not ROLE.fullmatch(role):
        raise KeyFileError(
            f"there is no LMS key role {role!r}",
            "use lms or lms-NAME (NAME: a-z, 0-9, -, _; at most 32)",
            USAGE,
        )
    return (folder or keys_folder()) / f"{role}{SUFFIX}"


def create(role: str, folder: Path | None = None) -> LmsKey:
    """Make a new key; takes some ten seconds. Never overwrites one. Raises KeyFileError."""
    path = path_of(role, folder)
    if path.exists():
        raise _exists(role, path)
    write_key(path, secrets.token_bytes(IDENTIFIER), secrets.token_bytes(NODE), ots_public)
    return load(path)


def write_key(
    path: Path, identifier: bytes, seed: bytes, public: Callable[[bytes, bytes, int], bytes]
) -> None:
    """The file of a key none of whose leaves is used.

    `public(identifier, seed, leaf)` is the one-time public key of a leaf, 32 bytes.
    """
    leaves = b"".join(
        hashlib.sha256(
            identifier
            + (SIGNATURES + leaf).to_bytes(4, "big")
            + _LEAF
            + public(identifier, seed, leaf)
        ).digest()
        for leaf in range(SIGNATURES)
    )
    file = _File(
        format=_FORMAT,
        next=0,
        identifier=identifier.hex(),
        seed=seed.hex(),
        leaves=base64.b64encode(leaves).decode(),
    )
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_secret(path, _text(file))
    except FileExistsError:
        raise _exists(path.stem, path) from None
    except OSError as error:
        raise KeyFileError(
            f"cannot write {path}: {error.strerror}", "choose a folder with --keys", ENVIRONMENT
        ) from error


def ots_public(identifier: bytes, seed: bytes, leaf: int) -> bytes:
    """The one-time public key of a leaf (RFC 8554 section 4.3 and appendix A), 32 bytes."""
    return bytes(_one_time(identifier, seed, leaf).publicKey().K)


def load(path: Path) -> LmsKey:
    """Read a key file. Raises KeyFileError when it is missing, malformed or not private."""
    file = _read(path)
    root = _nodes(file)[1]
    public = LmsPublicKey(bytes.fromhex(file.identifier), root)
    return LmsKey(path.stem, path, public, SIGNATURES - file.next)


def present(folder: Path | None = None) -> list[str]:
    """The LMS roles that have a key file, sorted."""
    base = folder or keys_folder()
    if not base.is_dir():
        return []
    return sorted(p.stem for p in base.glob(f"lms*{SUFFIX}") if ROLE.fullmatch(p.stem))


def _exists(role: str, path: Path) -> KeyFileError:
    return KeyFileError(
        f"there is a key for {role} already ({path})",
        "name another: lms-NAME",
        USAGE,
    )


def _read(path: Path) -> _File:
    mend = "coffret keys new lms makes a key; a damaged one must not be used again"
    try:
        data = read_private_file(path, _MAX)
    except FileNotFoundError:
        raise KeyFileError(
            f"there is no LMS key {path}", "coffret keys new lms makes one", USAGE
        ) from None
    try:
        file = _File.model_validate_json(data)
        leaves = base64.b64decode(file.leaves, validate=True)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise KeyFileError(f"{path}: {where}: {first['msg']}", mend, USAGE) from None
    except ValueError:
        raise KeyFileError(f"{path}: leaves: are not base64", mend, USAGE) from None
    if len(leaves) != SIGNATURES * NODE:
        raise KeyFileError(f"{path}: leaves: are not {SIGNATURES}", mend, USAGE)
    return file


def _text(file: _File) -> bytes:
    return (file.model_dump_json(indent=1) + "\n").encode()


def _replace(path: Path, file: _File) -> None:
    """The new state is on the disk when this returns: file, name and folder."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        write_secret(temporary, _text(file))
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise KeyFileError(
            f"cannot write {path}: {error.strerror}; nothing was signed",
            "it must be able to note what is used: make room, or mend the folder's rights",
            ENVIRONMENT,
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time. The lock is a file of its own, for the key's is replaced."""
    if fcntl is None:
        raise KeyFileError(
            "LMS keys need a system with file locks", "sign on Linux or macOS", ENVIRONMENT
        )
    try:
        descriptor = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise KeyFileError(
            f"cannot lock {path}: {error.strerror}", "mend the folder's rights", ENVIRONMENT
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _nodes(file: _File) -> dict[int, bytes]:
    """The tree by node number: 1 is the root, 1,024 the first leaf (RFC 8554 section 5.3)."""
    leaves = base64.b64decode(file.leaves)
    identifier = bytes.fromhex(file.identifier)
    nodes = {SIGNATURES + n: leaves[n * NODE : (n + 1) * NODE] for n in range(SIGNATURES)}
    for number in range(SIGNATURES - 1, 0, -1):
        below = nodes[2 * number] + nodes[2 * number + 1]
        nodes[number] = hashlib.sha256(
            identifier + number.to_bytes(4, "big") + _INNER + below
        ).digest()
    return nodes


def _one_time(identifier: bytes, seed: bytes, leaf: int) -> Any:
    return pyhsslms().LmotsPrivateKey(
        I=identifier, q=leaf.to_bytes(4, "big"), SEED=seed, lmots_type=OTS_TYPE
    )


def _signature(file: _File, leaf: int, digest: bytes) -> bytes:
    one_time = _one_time(bytes.fromhex(file.identifier), bytes.fromhex(file.seed), leaf)
    nodes = _nodes(file)
    path = [nodes[(SIGNATURES + leaf >> level) ^ 1] for level in range(HEIGHT)]
    whole = pyhsslms().LmsSignature(leaf, one_time.sign(digest), path, LMS_TYPE)
    return bytes(whole.serialize())
