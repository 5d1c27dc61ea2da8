# SPDX-License-Identifier: Apache-2.0
"""Private keys of people: P-256 in PEM files (PKCS #8) that only their owner may read.

Roles: `signing` signs images and reference values, `operator` endorses devices, `verifier` signs
results and seals the challenges of `coffret serve`, `log` signs heads of the transparency log,
`owner-NAME` grants releases of NAME's data. A key is a file, so a hardware token can take its place
later without anything else changing.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from attest import p256
from attest.paths import keys_folder
from boards.errors import ENVIRONMENT, USAGE, CoffretError
from enclaves import keys as pem

ROLE = re.compile(r"signing|operator|verifier|log|owner-[a-z0-9][a-z0-9_-]{0,31}")
SUFFIX = ".pem"


class KeyFileError(CoffretError):
    """A key cannot be read, made or trusted."""


@dataclass(frozen=True, slots=True)
class Key:
    """A private key and where it lives. `created` tells the front door to say so."""

    role: str
    path: Path
    private: p256.PrivateKey
    created: bool = False

    def __repr__(self) -> str:
        return f"Key({self.role!r}, {str(self.path)!r})"

    @property
    def public(self) -> p256.PublicKey:
        return self.private.public_key()

    @property
    def key_hash(self) -> bytes:
        """SHA-256 of the SubjectPublicKeyInfo."""
        return p256.key_hash(self.public)


def path_of(role: str, folder: Path | None = None) -> Path:
    """The file of `role`. Raises KeyFileError for a role that does not exist."""
    if not ROLE.fullmatch(role):
        raise KeyFileError(
            f"there is no key role {role!r}",
            "use signing, operator, verifier, log, owner-NAME, lms or lms-NAME "
            "(NAME: a-z, 0-9, -, _; at most 32)",
            USAGE,
        )
    return (folder or keys_folder()) / f"{role}{SUFFIX}"


def load(role: str, folder: Path | None = None) -> Key:
    """Read the key of `role`. Raises KeyFileError when it is missing or not private."""
    path = path_of(role, folder)
    try:
        return Key(role, path, load_private(path))
    except FileNotFoundError:
        raise KeyFileError(
            f"there is no key for {role} ({path})", f"coffret keys new {role}", USAGE
        ) from None


def create(role: str, folder: Path | None = None) -> Key:
    """Make a new key. Raises KeyFileError when there is one already: it is never overwritten."""
    path = path_of(role, folder)
    private = ec.generate_private_key(ec.SECP256R1())
    encoded = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_secret(path, encoded)
    except FileExistsError:
        raise KeyFileError(
            f"there is a key for {role} already ({path})",
            "move it away first; what it signed stays valid only while you keep it",
            USAGE,
        ) from None
    except OSError as error:
        raise KeyFileError(
            f"cannot write {path}: {error.strerror}", "choose a folder with --keys", ENVIRONMENT
        ) from error
    return Key(role, path, private, created=True)


def load_or_create(role: str, folder: Path | None = None) -> Key:
    """The key of `role`, made now if there is none (`created` says so)."""
    if path_of(role, folder).exists():
        return load(role, folder)
    try:
        return create(role, folder)
    except KeyFileError:
        if path_of(role, folder).exists():  # another process was quicker
            return load(role, folder)
        raise


def present(folder: Path | None = None) -> list[str]:
    """The roles that have a key file, sorted."""
    base = folder or keys_folder()
    if not base.is_dir():
        return []
    return sorted(p.stem for p in base.glob(f"*{SUFFIX}") if ROLE.fullmatch(p.stem))


def load_private(path: Path) -> p256.PrivateKey:
    """Read a P-256 private key. Raises FileNotFoundError, or KeyFileError naming the mend."""
    try:
        return pem.parse_private(read_private_file(path, pem.MAX_PEM_BYTES))
    except pem.KeyFileError as error:
        raise KeyFileError(f"{path}: {error}", "coffret keys new makes one", USAGE) from None


def load_public(path: Path) -> p256.PublicKey:
    """Read a P-256 public key in PEM. Raises KeyFileError."""
    mend = "coffret keys public ROLE > FILE writes one"
    try:
        return pem.read_public(path)
    except OSError as error:
        raise KeyFileError(f"cannot read {path}: {error.strerror}", mend, ENVIRONMENT) from error
    except pem.KeyFileError as error:
        raise KeyFileError(f"{path}: {error}", mend, USAGE) from error


def public_pem(key: p256.PublicKey) -> str:
    """The public key as PEM SubjectPublicKeyInfo."""
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode("ascii")


def read_private_file(path: Path, limit: int) -> bytes:
    """Read the file, checking the very descriptor that is read: nobody else may have access.

    At most `limit` bytes and one more. Raises FileNotFoundError or KeyFileError.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise KeyFileError(
            f"cannot read {path}: {error.strerror}", "check the file's owner", ENVIRONMENT
        ) from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise KeyFileError(f"{path} is not a file", "coffret keys new makes one", USAGE)
        if os.name == "posix" and stat.S_IMODE(status.st_mode) & 0o077:
            raise KeyFileError(
                f"others can read the key {path}", f"chmod 600 '{path}'", ENVIRONMENT
            )
        return file.read(limit + 1)


def write_secret(path: Path, data: bytes) -> None:
    """Write atomically, mode 0600, never over another file (FileExistsError)."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    try:
        with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)  # fails if the name is taken, where a rename would not
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            if path.exists():
                raise FileExistsError(path) from None
            temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
