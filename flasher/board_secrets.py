# SPDX-License-Identifier: Apache-2.0
"""The secret of a new board, from which its identity is derived: made here, or by a token.

Where the computer at the bench shall not make secrets, a hardware token makes them beforehand and
wraps each under an AES key of its own (RFC 3394). The files are worth nothing without the token;
one is unwrapped when its board is written, and used for that board only.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from boards.errors import ENVIRONMENT, USAGE, CoffretError
from firmware.image.token_key import open_token
from flasher.errors import BadFileError
from flasher.state import write_atomically
from flasher.virtual import UDS_BYTES

WRAPPED_BYTES = UDS_BYTES + 8  # RFC 3394, section 2.2.1: one block of 64 bits more
_WRAPPED, _USED = ".wrapped", ".used"

SecretSource: TypeAlias = Callable[[], bytes]


def fresh() -> bytes:
    """A secret of this computer's random numbers: UDS_BYTES."""
    return secrets.token_bytes(UDS_BYTES)


class WrappedSecrets:
    """The secrets of a folder, one for each call; their files are called `.used` from then on.

    Several boards, and several processes, may take from one folder at once.
    """

    def __init__(self, folder: Path, uri: str) -> None:
        self._folder = folder
        self._uri = uri
        self._lock = threading.Lock()

    def __call__(self) -> bytes:
        """The next one. Raises BadFileError (none is left, or one is spoilt) and TokenError."""
        with self._lock:
            taken = self._take()
            try:
                return self._unwrap(taken)
            except BaseException:
                taken.rename(taken.with_suffix(_WRAPPED))
                raise

    def _take(self) -> Path:
        """Marked before it is used, so that a crash wastes one and never gives it to two boards."""
        for file in sorted(self._folder.glob(f"*{_WRAPPED}")):
            used = file.with_suffix(_USED)
            try:
                file.rename(used)
            except FileNotFoundError:
                continue  # another process has it
            _make_lasting(self._folder)
            return used
        raise BadFileError(
            f"{self._folder}: no wrapped secret is left",
            f"make some: coffret secrets {self._folder} --count 100 --secret-key URI",
        )

    def _unwrap(self, file: Path) -> bytes:
        data = file.read_bytes()
        if len(data) != WRAPPED_BYTES:
            raise BadFileError(
                f"{file.with_suffix(_WRAPPED)}: has {len(data)} bytes, not {WRAPPED_BYTES}",
                "remove it; coffret secrets makes them",
            )
        with open_token(self._uri) as (session, label):
            from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass  # noqa: PLC0415

            secret = _wrapping_key(session, label).unwrap_key(
                ObjectClass.SECRET_KEY,
                KeyType.GENERIC_SECRET,
                data,
                mechanism=Mechanism.AES_KEY_WRAP,
                template={Attribute.EXTRACTABLE: True, Attribute.SENSITIVE: False},
            )
            value = bytes(secret[Attribute.VALUE])
        if len(value) != UDS_BYTES:
            raise CoffretError(
                f"{file}: holds a secret of {len(value)} bytes", "make it anew", USAGE
            )
        return value


def make(folder: Path, uri: str, count: int) -> int:
    """Has the token make `count` secrets more, each wrapped in a file. Returns how many there are.

    Nothing unwrapped leaves the token. Raises TokenError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open_token(uri) as (session, label):
        from pkcs11 import Attribute, KeyType, Mechanism  # noqa: PLC0415

        key = _wrapping_key(session, label)
        for _ in range(count):
            secret = session.generate_key(
                KeyType.GENERIC_SECRET,
                8 * UDS_BYTES,
                store=False,
                template={Attribute.EXTRACTABLE: True, Attribute.SENSITIVE: True},
            )
            wrapped = key.wrap_key(secret, mechanism=Mechanism.AES_KEY_WRAP)
            write_atomically(folder / f"{secrets.token_hex(8)}{_WRAPPED}", bytes(wrapped))
    return len(list(folder.glob(f"*{_WRAPPED}")))


def source_of(folder: Path | None, uri: str | None) -> SecretSource:
    """What the options say. Raises CoffretError: one of the two alone."""
    if folder is None and uri is None:
        return fresh
    if folder is None or uri is None:
        raise CoffretError(
            "wrapped secrets need a folder and the key that wrapped them",
            "give both: --secrets FOLDER --secret-key 'pkcs11:token=...;object=...'",
            USAGE,
        )
    return WrappedSecrets(folder, uri)


def _wrapping_key(session: Any, label: str) -> Any:
    from pkcs11 import KeyType, ObjectClass  # noqa: PLC0415

    return session.get_key(ObjectClass.SECRET_KEY, key_type=KeyType.AES, label=label)


def _make_lasting(folder: Path) -> None:
    """The new names are on the disk before the secret is anywhere."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError as error:
        raise CoffretError(
            f"{folder}: {error.strerror}", "use a folder on a disk of this computer", ENVIRONMENT
        ) from None
    finally:
        os.close(fd)
