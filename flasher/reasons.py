# SPDX-License-Identifier: Apache-2.0
"""Why a board refused an image, in words. The numbers are those of `coffret/reason.h`."""

from __future__ import annotations

from enum import IntEnum, unique

from smp.image_management import IMG_MGMT_ERR


@unique
class Reason(IntEnum):
    """`enum reason` of firmware/runtime/include/coffret/reason.h."""

    OK = 0
    NO_IMAGE = 1
    HEADER = 2
    SLOT_ADDRESS = 3
    TOO_LARGE = 4
    TLV = 5
    BOARD = 6
    NO_HASH = 7
    HASH = 8
    KEY = 9
    NO_SIGNATURE = 10
    SIGNATURE = 11
    COUNTER = 12
    NO_POLICY = 13
    FLASH = 14
    NOT_CONFIRMED = 15
    IDENTITY = 16
    REVOKED = 17
    THRESHOLD = 18
    POST_QUANTUM = 19
    REVOKES_ITSELF = 20
    FAULT = 21
    DECOMMISSIONED = 22
    DELTA_BASE = 23
    DELTA = 24

    @property
    def words(self) -> str:
        """What happened, as a clause that starts with a subject."""
        return _WORDS[self][0]

    @property
    def mend(self) -> str:
        """What to do about it."""
        return _WORDS[self][1]


_FLASH = (
    "the board's flash did not take the image",
    "try again; if it happens again, the board's flash is worn out",
)

# How the board says each reason in SMP's own, coarser image errors (firmware/runtime/smp/image.c).
IMAGE_ERRORS: dict[Reason, IMG_MGMT_ERR] = {
    Reason.NO_IMAGE: IMG_MGMT_ERR.INVALID_IMAGE_HEADER_MAGIC,
    Reason.HEADER: IMG_MGMT_ERR.INVALID_IMAGE_HEADER,
    Reason.SLOT_ADDRESS: IMG_MGMT_ERR.INVALID_FLASH_ADDRESS,
    Reason.TOO_LARGE: IMG_MGMT_ERR.INVALID_IMAGE_TOO_LARGE,
    Reason.TLV: IMG_MGMT_ERR.INVALID_TLV,
    Reason.BOARD: IMG_MGMT_ERR.INVALID_TLV,
    Reason.NO_HASH: IMG_MGMT_ERR.HASH_NOT_FOUND,
    Reason.HASH: IMG_MGMT_ERR.INVALID_HASH,
    Reason.KEY: IMG_MGMT_ERR.INVALID_TLV,
    Reason.NO_SIGNATURE: IMG_MGMT_ERR.NO_TLVS,
    Reason.SIGNATURE: IMG_MGMT_ERR.INVALID_TLV,
    Reason.COUNTER: IMG_MGMT_ERR.CURRENT_VERSION_IS_NEWER,
    Reason.NO_POLICY: IMG_MGMT_ERR.NO_TLVS,
    Reason.FLASH: IMG_MGMT_ERR.FLASH_READ_FAILED,
    Reason.REVOKED: IMG_MGMT_ERR.INVALID_TLV,
    Reason.THRESHOLD: IMG_MGMT_ERR.NO_TLVS,
    Reason.POST_QUANTUM: IMG_MGMT_ERR.NO_TLVS,
    Reason.REVOKES_ITSELF: IMG_MGMT_ERR.INVALID_TLV,
    Reason.DELTA_BASE: IMG_MGMT_ERR.HASH_NOT_FOUND,
    Reason.DELTA: IMG_MGMT_ERR.INVALID_IMAGE_HEADER,
}

# What else the board answers about images: words and a mend.
OTHER_ERRORS: dict[int, tuple[str, str]] = {
    IMG_MGMT_ERR.NO_FREE_SLOT: (
        "the version that runs is on trial, and the other slot is what it falls back to",
        "keep the one that runs by flashing its bundle again, or go back by a reset; then flash",
    ),
    IMG_MGMT_ERR.FLASH_WRITE_FAILED: _FLASH,
    IMG_MGMT_ERR.FLASH_ERASE_FAILED: _FLASH,
}

_REBUILD = "build the appliance anew and flash the new bundle"
_WORDS: dict[Reason, tuple[str, str]] = {
    Reason.OK: ("the image is good", "nothing to do"),
    Reason.NO_IMAGE: ("there is no image (its magic number is missing)", _REBUILD),
    Reason.HEADER: ("the image header is malformed", _REBUILD),
    Reason.SLOT_ADDRESS: (
        "the image is linked for the other slot",
        "flash the bundle, which holds an image for each slot",
    ),
    Reason.TOO_LARGE: (
        "the image does not fit its slot",
        "see what takes the room: coffret inspect BUNDLE",
    ),
    Reason.TLV: ("the image's TLV area is malformed", _REBUILD),
    Reason.BOARD: (
        "the image is for another kind of board",
        "build it for this one: coffret build --board NAME",
    ),
    Reason.NO_HASH: ("the image carries no SHA-256 of itself", _REBUILD),
    Reason.HASH: (
        "the image's bytes do not match its SHA-256: at least one bit was changed",
        _REBUILD,
    ),
    Reason.KEY: (
        "the image is signed with a key that this board does not know",
        "sign with the key whose public half was built into the board's boot",
    ),
    Reason.NO_SIGNATURE: ("the image is not signed", "let `coffret build` sign it"),
    Reason.SIGNATURE: ("the image's signature is false", _REBUILD),
    Reason.COUNTER: (
        "the image's security counter is lower than the one this board has confirmed: "
        "an older version",
        "raise `security_counter` in appliance.toml, or flash a newer release",
    ),
    Reason.NO_POLICY: ("the image carries no digest of its flow policy", _REBUILD),
    Reason.FLASH: _FLASH,
    Reason.NOT_CONFIRMED: (
        "the image was tried and not confirmed, so the board went back to the one before",
        "see what it did: coffret devices, then flash a mended version",
    ),
    Reason.IDENTITY: (
        "the board has no identity: its secret was never written or is damaged",
        "write the board's secret at the factory again; a virtual board: start a new one",
    ),
    Reason.REVOKED: (
        "the image is signed with a key that was revoked, or with a development key while the "
        "board is provisioned",
        "sign it with a release key of the current generation: coffret sign",
    ),
    Reason.THRESHOLD: (
        "the image has fewer good signatures than this board asks for",
        "let the other signers add theirs: coffret sign",
    ),
    Reason.POST_QUANTUM: (
        "the image's LMS signature, which this board asks for, is missing or false",
        "add it: coffret sign --lms",
    ),
    Reason.REVOKES_ITSELF: (
        "the image would revoke a key that signed it, and could never start again",
        "sign it with keys of the generation that it leaves, or lower `revokes_below`",
    ),
    Reason.FAULT: (
        "the check of the image contradicted itself: the processor made a mistake, perhaps because "
        "somebody disturbed it",
        "start the board again; if it happens again, do not trust it",
    ),
    Reason.DECOMMISSIONED: (
        "the board is decommissioned: its secrets were erased and it has no identity any more",
        "nothing leads back; erase its whole flash to make a new board of it",
    ),
    Reason.DELTA_BASE: (
        "the delta starts from another image than the one that runs",
        "make one from the bundle that the board runs (coffret delta), or flash the whole bundle",
    ),
    Reason.DELTA: (
        "the delta is malformed: it ends too early, or says what no delta may say",
        "make it again: coffret delta",
    ),
}
