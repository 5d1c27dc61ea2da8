# SPDX-License-Identifier: Apache-2.0
"""A P-256 private key in a PKCS#11 token, used like one in memory; it never leaves the token."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import parse_qsl, unquote

from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from boards.errors import ENVIRONMENT, USAGE, CoffretError

SCHEME = "pkcs11:"
_MEND = "name it as pkcs11:token=LABEL;object=LABEL?module-path=FILE&pin-source=FILE (RFC 7512)"
_COORDINATE = 32


class TokenError(CoffretError):
    """The token, or the key in it, cannot be used."""


class TokenKey(ec.EllipticCurvePrivateKey):
    """The key of an open session. Signatures are the token's: most draw a nonce, so that images
    signed twice differ in their signature, and in nothing else.
    """

    def __init__(self, key: Any, public: ec.EllipticCurvePublicKey) -> None:
        self._key = key
        self._public = public

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """ECDSA with SHA-256, DER."""
        from pkcs11 import Mechanism  # noqa: PLC0415 - an extra

        prehashed = isinstance(signature_algorithm.algorithm, Prehashed)
        digest = bytes(data) if prehashed else hashlib.sha256(bytes(data)).digest()
        raw = self._key.sign(digest, mechanism=Mechanism.ECDSA)
        if len(raw) != 2 * _COORDINATE:
            raise TokenError(
                f"the token signed {len(raw)} bytes, not 64", "see its log", ENVIRONMENT
            )
        r, s = (int.from_bytes(half, "big") for half in (raw[:_COORDINATE], raw[_COORDINATE:]))
        return utils.encode_dss_signature(r, s)

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._public.curve

    @property
    def key_size(self) -> int:
        return self._public.key_size

    def exchange(self, *_: Any) -> NoReturn:
        raise NotImplementedError("this key signs")

    def private_numbers(self) -> NoReturn:
        raise NotImplementedError("it never leaves the token")

    def private_bytes(self, *_: Any) -> NoReturn:
        raise NotImplementedError("it never leaves the token")

    def __copy__(self) -> TokenKey:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> TokenKey:
        return self


@contextmanager
def open_token_key(uri: str) -> Iterator[TokenKey]:
    """The signing key that a PKCS#11 URI names, while the block runs. Raises TokenError."""
    with open_token(uri) as (session, label):
        from pkcs11 import Attribute, ObjectClass  # noqa: PLC0415

        key = session.get_key(ObjectClass.PRIVATE_KEY, label=label)
        half = session.get_key(ObjectClass.PUBLIC_KEY, label=label)
        yield TokenKey(key, _public(half[Attribute.EC_POINT]))


@contextmanager
def open_token(uri: str) -> Iterator[tuple[Any, str]]:
    """A session with the token that a PKCS#11 URI (RFC 7512) names, and the object's label.

    `module-path` may come from PKCS11_MODULE_PATH, the PIN from the file `pin-source`. Raises
    TokenError, also for what the block has the token do.
    """
    try:
        import pkcs11  # noqa: PLC0415 - an extra
        from pkcs11.exceptions import PKCS11Error  # noqa: PLC0415
    except ImportError:
        raise TokenError(
            "keys in tokens need the package python-pkcs11",
            'install it: pip install "coffret[pkcs11]"',
            ENVIRONMENT,
        ) from None
    path, query = _parse(uri)
    module = query.get("module-path") or os.environ.get("PKCS11_MODULE_PATH", "")
    if not module or "token" not in path or "object" not in path:
        raise TokenError(f"{uri}: names no module, token and object", _MEND, USAGE)
    try:
        token = pkcs11.lib(module).get_token(token_label=path["token"])
        with token.open(user_pin=_pin(query.get("pin-source"))) as session:
            yield session, path["object"]
    except PKCS11Error as error:
        what = str(error) or type(error).__name__
        raise TokenError(f"{uri}: {what}", "check token, object and PIN", ENVIRONMENT) from None
    except (OSError, RuntimeError) as error:
        raise TokenError(f"{uri}: {error}", _MEND, ENVIRONMENT) from None


def _parse(uri: str) -> tuple[dict[str, str], dict[str, str]]:
    path, _, query = uri.removeprefix(SCHEME).partition("?")
    pairs = (part.partition("=") for part in path.split(";") if part)
    return {name: unquote(value) for name, _, value in pairs}, dict(parse_qsl(query))


def _pin(source: str | None) -> str | None:
    if source is None:
        return None
    file = Path(source.removeprefix("file:"))
    try:
        if os.name == "posix" and file.stat().st_mode & 0o077:
            raise TokenError(f"others can read the PIN {file}", f"chmod 600 '{file}'", ENVIRONMENT)
        return file.read_text().strip()
    except OSError as error:
        what = (error.strerror or "cannot be read").lower()
        raise TokenError(f"pin-source {file}: {what}", _MEND, USAGE) from None


def _public(point: bytes) -> ec.EllipticCurvePublicKey:
    """From CKA_EC_POINT: an uncompressed point, in a DER octet string or (old tokens) bare."""
    bare = point[2:] if point[:2] == b"\x04\x41" else point
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), bare)
    except ValueError:
        raise TokenError("the token's key is no P-256 key", "make one on P-256", USAGE) from None
