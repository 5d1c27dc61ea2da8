# SPDX-License-Identifier: Apache-2.0
"""A PKCS#11 token in software, in a folder of the test's own: SoftHSM, a real token's interface."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

LIBRARY = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = "1234"


@dataclass(frozen=True, slots=True)
class SoftToken:
    """A token with a label, and the file that holds its PIN."""

    label: str
    pin: Path

    def uri(self, name: str) -> str:
        """The PKCS#11 URI of the object called `name`."""
        return (
            f"pkcs11:token={self.label};object={name}?module-path={LIBRARY}&pin-source={self.pin}"
        )

    @contextmanager
    def session(self) -> Iterator[Any]:
        """Logged in, and may store objects."""
        import pkcs11  # noqa: PLC0415 - an extra

        token = pkcs11.lib(str(LIBRARY)).get_token(token_label=self.label)
        with token.open(user_pin=PIN, rw=True) as session:
            yield session

    def store_wrapping_key(self, name: str, value: bytes) -> str:
        """Stores an AES key that wraps others; its URI. A factory's would be made in the token."""
        from pkcs11 import Attribute, KeyType, ObjectClass  # noqa: PLC0415

        with self.session() as session:
            session.create_object(
                {
                    Attribute.CLASS: ObjectClass.SECRET_KEY,
                    Attribute.KEY_TYPE: KeyType.AES,
                    Attribute.LABEL: name,
                    Attribute.VALUE: value,
                    Attribute.WRAP: True,
                    Attribute.UNWRAP: True,
                    Attribute.TOKEN: True,
                }
            )
        return self.uri(name)


def new_token(folder: Path, environment: pytest.MonkeyPatch, label: str) -> SoftToken:
    """A new, empty token; SoftHSM knows no other from now on. Skips without python-pkcs11."""
    pkcs11 = pytest.importorskip("pkcs11")
    assert LIBRARY.is_file(), "./dev test installs softhsm2"
    (folder / "tokens").mkdir()
    settings = folder / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {folder / 'tokens'}\n")
    environment.setenv("SOFTHSM2_CONF", str(settings))
    command = ["softhsm2-util", "--init-token", "--free", "--label", label]
    command += ["--pin", PIN, "--so-pin", "12345678"]
    subprocess.run(command, check=True, capture_output=True, env=os.environ)
    pin = folder / "pin"
    pin.write_text(f"{PIN}\n")
    pin.chmod(0o600)
    pkcs11.lib(str(LIBRARY)).reinitialize()
    return SoftToken(label, pin)
