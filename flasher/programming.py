# SPDX-License-Identifier: Apache-2.0
"""`coffret flash`: which board is meant, in which mode it is, and so by which way it is written."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from pathlib import Path

from boards.uf2 import Segment
from flasher import board_secrets, ports, rom
from flasher import flash as updating
from flasher.board_secrets import SecretSource
from flasher.checked_bundle import checked
from flasher.delta import DeltaFor
from flasher.discovery import SMP, Device, find
from flasher.errors import BadFileError, NotServedError, OtherFileError
from flasher.flash import Flashed, Say
from flasher.smp_session import Progress

_FILE_MAX = 16 << 20


@dataclass(frozen=True, slots=True)
class Written:
    """One file that went to an address of a flash."""

    address: int
    bytes: int
    transport: str
    sha256: str

    def to_json(self) -> dict[str, object]:
        return {
            "address": self.address,
            "bytes": self.bytes,
            "transport": self.transport,
            "sha256": self.sha256,
        }


def flash(
    image: Path,
    port: str | None,
    say: Say,
    progress: Progress,
    *,
    transport: str | None = None,
    new: bool = False,
    secret: SecretSource = board_secrets.fresh,
    deltas: DeltaFor | None = None,
) -> Flashed:
    """Flashes the board that `port` means, by the way that serves it as it is now.

    `new` and `secret`: see `rom.flash`; `deltas`: see `flash.flash`. A ROM boot loader takes none,
    and only a bundle that is whole and signed: see `checked_bundle`.
    """
    device = _device(port, transport)
    if (transport or device.transport) == SMP:
        if new:
            raise NotServedError(
                f"{device.path}: a board that runs has its secret already",
                "leave out --new; a new board is flashed through its ROM boot loader",
            )
        source = updating.read_source(image)
        return updating.flash(device.path, source, say, progress, deltas=deltas)
    if not image.is_dir():
        raise BadFileError(
            f"{image}: a ROM boot loader needs boot as well, which one image file does not have",
            "name the bundle directory that `coffret build` made",
        )
    with checked(image, say) as bundle:
        return rom.flash(device, bundle, say, progress, wanted=transport, new=new, secret=secret)


def _device(port: str | None, transport: str | None) -> Device:
    found = find()
    if transport == "virtual" and port is not None:
        return Device(port, Path(port).name, "virtual", "", (), "off", transport)
    if transport is not None and port is None:
        found = tuple(device for device in found if device.transport == transport) or found
    return ports.device(port, found)


def write_file(
    file: Path,
    at: str,
    port: str | None,
    transport: str | None,
    say: Say,
    progress: Progress,
    *,
    pinned: str | None = None,
) -> Written:
    """Writes one file by esptool, for a part that is not coffret's own.

    `pinned`: the SHA-256 in hex that the file must have; a file of another is refused before the
    part is touched. Raises NotServedError, BadFileError.
    """
    if transport != "esptool":
        raise NotServedError(
            "--at writes a file where you say, which coffret's own boards never need",
            "add --transport esptool, or leave out --at",
        )
    try:
        address = int(at, 0)
        data = file.read_bytes()
    except ValueError as error:
        raise BadFileError(f"--at {at}: is no address", "write it like 0x10000") from error
    except OSError as error:
        raise BadFileError(f"{file}: {error.strerror}", "name a file to write") from error
    if not 0 < len(data) <= _FILE_MAX:
        raise BadFileError(f"{file}: has {len(data)} bytes", f"1 to {_FILE_MAX} can be written")
    digest = hashlib.sha256(data).hexdigest()
    if pinned is not None and not hmac.compare_digest(digest.encode(), pinned.lower().encode()):
        raise BadFileError(
            f"{file}: its SHA-256 is {digest}, pinned is {pinned}",
            "take the file that was reviewed, or pin this one after a review",
        )
    _by_esptool(Segment(address, data), port, say, progress)
    return Written(address, len(data), "esptool", digest)


def write_radio(folder: Path, port: str | None, say: Say, progress: Progress) -> Written:
    """Writes a bundle's radio firmware to the module, and has its ROM compare what it holds.

    Raises BundleError, NotServedError: there is none in the bundle; OtherFileError: it is not what
    the bundle's reference values pin; and what the transport raises.
    """
    import attest  # noqa: PLC0415
    import boards  # noqa: PLC0415
    from firmware.bundle.folder import RADIO_FILE, load_bundle  # noqa: PLC0415

    if port is None:
        what = "--radio: the module's port cannot be told from the board's own"
        raise NotServedError(what, "name it with --port")
    bundle = load_bundle(folder)
    module = boards.load(bundle.facts.board).radio
    pinned = attest.load_bundle(folder).radio
    if module is None or pinned is None:
        raise NotServedError(
            f"{folder}: has no firmware for a radio module",
            "leave out --radio, or name it in the manifest's [radio] and build again",
        )
    data = (folder / RADIO_FILE).read_bytes()
    if hashlib.sha256(data).digest() != pinned:
        raise OtherFileError(folder / RADIO_FILE, pinned)
    _by_esptool(Segment(module.address, data), port, say, progress, chip=module.chip)
    return Written(module.address, len(data), "esptool", pinned.hex())


def _by_esptool(
    segment: Segment, port: str | None, say: Say, progress: Progress, *, chip: str | None = None
) -> None:
    """`chip`: the one whose own ROM writes and hashes, without a loader in the part's RAM."""
    from flasher.transports.esptool import Esptool  # noqa: PLC0415
    from flasher.transports.interface import program  # noqa: PLC0415

    where, before = ports.choose(port), "no-reset" if "://" in (port or "") else "default-reset"
    if chip is None:
        part = Esptool(where, reset_by=before)
    else:
        part = Esptool(where, chip=chip, reset_by=before, stub=False)
    with part:
        program(part, [segment], say, progress)
