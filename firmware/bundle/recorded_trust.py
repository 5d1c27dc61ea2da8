# SPDX-License-Identifier: Apache-2.0
"""What boot was built to trust, in its bundle: so that whoever has the bundle can build boot again.

`trust.json` is there where a trust file was given: threshold, whether the keys may end a device,
and each public key with generation and role, in the order that boot has them. It is one text for
one `Trust`, so it reproduces.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from boards.errors import NO, CoffretError
from firmware.image.lms import LmsError, LmsPublicKey
from firmware.image.trust import Trust, TrustedKey, TrustedLmsKey, TrustError

TRUST_FILE = "trust.json"
_MAX = 64 << 10
_HEX = r"^([0-9a-f]{2})+$"


class _Key(BaseModel):
    """`public_key`: an uncompressed point (65 bytes), or a raw LMS key (RFC 8554), in hex."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    public_key: str = Field(pattern=_HEX, max_length=256)
    generation: int
    role: Literal["release", "development"]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    threshold: int
    decommission: bool
    keys: list[_Key] = Field(max_length=64)
    lms_keys: list[_Key] = Field(max_length=64)


def recorded_trust(trust: Trust) -> bytes:
    """The file. Public keys only."""
    content = _File(
        threshold=trust.threshold,
        decommission=trust.decommission,
        keys=[_key(_point(each.key), each) for each in trust.keys],
        lms_keys=[_key(each.key.raw, each) for each in trust.lms_keys],
    )
    return f"{json.dumps(content.model_dump(), indent=1)}\n".encode()


def read_trust(path: Path) -> Trust:
    """What `recorded_trust` wrote. Raises CoffretError (1): it is something else."""
    try:
        with path.open("rb") as file:
            found = _File.model_validate_json(file.read(_MAX))
        return Trust(
            tuple(
                TrustedKey(_from_point(each.public_key), each.generation, _development(each))
                for each in found.keys
            ),
            found.threshold,
            tuple(
                TrustedLmsKey(
                    LmsPublicKey.from_raw(bytes.fromhex(each.public_key)),
                    each.generation,
                    _development(each),
                )
                for each in found.lms_keys
            ),
            found.decommission,
        )
    except ValidationError as error:
        first = error.errors()[0]
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    except TrustError as error:
        what = error.message
    except (OSError, ValueError, LmsError) as error:
        what = str(error)
    raise CoffretError(f"{path}: {what}", "the bundle is not as it was built: ask for another", NO)


def _key(data: bytes, trusted: TrustedKey | TrustedLmsKey) -> _Key:
    role: Literal["release", "development"] = "development" if trusted.development else "release"
    return _Key(public_key=data.hex(), generation=trusted.generation, role=role)


def _development(key: _Key) -> bool:
    return key.role == "development"


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _from_point(text: str) -> ec.EllipticCurvePublicKey:
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), bytes.fromhex(text))
