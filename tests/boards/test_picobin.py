# SPDX-License-Identifier: Apache-2.0
"""Images for an RP2350's boot ROM: what is sealed is read back, and nothing else is.

No emulator has that ROM and no package registry its picotool: the words below were read from the
data sheet (section 5.9) once more.
"""

from __future__ import annotations

import hashlib
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from boards.picobin import FIRST_BLOCK, PicobinError, Release, key_hash, read, seal
from boards.uf2 import BLOCK, Segment, read_uf2, write_rp2350_uf2

BASE, AT = 0x1000_0000, 0x110
KEY = ec.derive_private_key(0xB007, ec.SECP256K1())
IMAGE = (
    struct.pack("<2I", 0x2000_4000, BASE + 0x201).ljust(AT, b"v")
    + bytes(FIRST_BLOCK)
    + b"code" * 99
)
RELEASE = Release(1, 7, rollback=25, rows=(0x4E, 0x51))


def test_the_first_block_is_the_data_sheets_smallest_but_for_its_link() -> None:
    words = struct.unpack_from("<5I", seal(IMAGE, BASE, AT, Release(1, 0), None), AT)
    assert words == (0xFFFFDED3, 0x10210142, 0x000001FF, len(IMAGE) - AT, 0xAB123579)


def test_the_version_has_its_rollback_and_rows_by_halves() -> None:
    sealed = seal(IMAGE, BASE, AT, RELEASE, KEY)
    words = struct.unpack_from("<7I", sealed, len(IMAGE))
    assert words[1:6] == (0x10210142, 0x02000448, 0x0001_0007, 0x004E_0019, 0x0000_0051)


@given(
    st.binary(max_size=300),
    st.builds(Release, st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)),
    st.sampled_from([None, KEY]),
)
def test_what_is_sealed_is_read_back(
    code: bytes, release: Release, key: ec.EllipticCurvePrivateKey | None
) -> None:
    found = read(seal(IMAGE + code, BASE, AT, release, key), BASE)
    assert (found.release, found.vector_table) == (release, BASE)
    assert found.key == (None if key is None else key_hash(KEY.public_key()))


def test_the_key_is_known_by_the_hash_that_otp_holds() -> None:
    numbers = KEY.public_key().public_numbers()
    point = numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
    assert read(seal(IMAGE, BASE, AT, RELEASE, KEY), BASE).key == hashlib.sha256(point).digest()


@pytest.mark.parametrize("key", [None, KEY], ids=["hashed", "signed"])
def test_no_bit_of_it_can_be_changed(key: ec.EllipticCurvePrivateKey | None) -> None:
    sealed = seal(IMAGE, BASE, AT, RELEASE, key)
    read(sealed, BASE)
    for at in range(len(sealed)):
        spoilt = bytearray(sealed)
        spoilt[at] ^= 1 << at % 8
        with pytest.raises(PicobinError):
            read(bytes(spoilt), BASE)


def test_an_image_cut_short_or_elsewhere_is_refused() -> None:
    sealed = seal(IMAGE, BASE, AT, RELEASE, KEY)
    for length in range(len(sealed)):
        with pytest.raises(PicobinError):
            read(sealed[:length], BASE)
    with pytest.raises(PicobinError, match="load map"):
        read(sealed, BASE + 0x1000)


@given(st.binary(max_size=200))
def test_hostile_bytes_are_refused_and_nothing_worse(data: bytes) -> None:
    start = struct.pack("<2I", 0xFFFFDED3, 0x10210142)
    for image in (data, start + data, seal(IMAGE, BASE, AT, RELEASE, None)[: len(IMAGE)] + data):
        with pytest.raises(PicobinError):
            read(image, BASE)


@pytest.mark.parametrize(
    ("rollback", "rows"), [(24, (0x4E,)), (3, ()), (None, (0x4E,)), (-1, (0x4E,)), (0, (4094,))]
)
def test_a_rollback_version_that_its_rows_cannot_hold_is_refused(
    rollback: int | None, rows: tuple[int, ...]
) -> None:
    with pytest.raises(PicobinError):
        Release(1, 0, rollback, rows)


def test_a_key_of_another_curve_or_a_taken_place_is_refused() -> None:
    with pytest.raises(PicobinError, match="secp256k1"):
        seal(IMAGE, BASE, AT, RELEASE, ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(PicobinError, match="no place"):
        seal(IMAGE, BASE, 0, RELEASE, None)


def test_the_uf2_file_begins_with_a_block_of_the_absolute_family() -> None:
    """Erratum E10: picotool makes the same block, at the end of 16 MiB, and never counts it."""
    file = write_rp2350_uf2([Segment(BASE, IMAGE)], 0x1000)
    head = struct.unpack_from("<8I", file)
    assert head == (0x0A324655, 0x9E5D5157, 0xA000, 0x10FF_FF00, 256, 0, 2, 0xE48B_FF57)
    assert file[32 : 32 + 256] == b"\xef" * 256
    assert file[288:292] == struct.pack("<I", 0x9957_E304)
    rest = read_uf2(file[BLOCK:])
    assert rest.family == 0xE48B_FF59
    assert rest.segments[0].data.startswith(IMAGE)
