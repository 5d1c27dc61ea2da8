# SPDX-License-Identifier: Apache-2.0
"""The order that ends a device's life, as boot takes it (runtime/boot/image.c)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from boards.errors import USAGE
from firmware.image.format import ImageError
from firmware.image.signer import ImageSigner
from firmware.image.trust import SIGNATURES_MAX
from firmware.image.writer import signature_tlvs, tlv_area

TEXT = b"coffret: decommission\0"
INSTANCE_ID_SIZE = 33


def order_digest(instance_id: bytes) -> bytes:
    """What is signed: SHA-256 of the text and the device's instance id (33 bytes)."""
    if len(instance_id) != INSTANCE_ID_SIZE:
        raise ValueError(f"an instance id has {INSTANCE_ID_SIZE} bytes, not {len(instance_id)}")
    return hashlib.sha256(TEXT + instance_id).digest()


def order(instance_id: bytes, signers: Iterable[ImageSigner]) -> bytes:
    """The order for one device, a TLV area as behind an image: key hashes and signatures.

    It counts where an image signed by the same keys would. Raises ImageError for too many signers.
    """
    signed = [signature_tlvs(signer, order_digest(instance_id)) for signer in signers]
    if not 0 < len(signed) <= SIGNATURES_MAX:
        raise ImageError(
            f"an order with {len(signed)} signatures", f"1 to {SIGNATURES_MAX} keys sign it", USAGE
        )
    return tlv_area(b"".join(signed))
