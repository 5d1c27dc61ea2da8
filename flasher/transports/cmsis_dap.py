# SPDX-License-Identifier: Apache-2.0
"""A debug probe that speaks CMSIS-DAP, through pyOCD: the flash is programmed by a short program
that pyOCD puts into the halted part's RAM.

pyOCD is an extra (`pip install "coffret[probe]"`), loaded when a probe is used.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from boards.errors import ENVIRONMENT, CoffretError
from boards.host import Host, ProbeWrite
from boards.uf2 import Segment
from flasher.errors import (
    BadAnswerError,
    GoneError,
    LockedError,
    NoAnswerError,
    NoPermissionError,
    NoPortError,
    NotServedError,
    PortBusyError,
    RefusedError,
)
from flasher.transports.interface import Capabilities, Memory, Progress

PACKAGE = "pyocd"
INSTALL = 'pip install "coffret[probe]"'
_CONNECT_S = 5.0  # pyOCD's patience, for messages
# Nobody's configuration is read and no script run from the folder that one happens to be in. A
# protected part is not unlocked by erasing it: it may be somebody's.
_OPTIONS = {
    "allow_no_cores": True,
    "auto_unlock": False,
    "connect_mode": "halt",
    "hide_programming_progress": True,
    "no_config": True,
    "pack.debug_sequences.enable": False,
    "resume_on_disconnect": True,
    "user_script": os.devnull,
}

_LOCKED = "its debug port is closed (a secured device closes it for good)"
_LOCKED_MEND = "update it through its own port: coffret flash BUNDLE --port PORT"

T = TypeVar("T")


class CmsisDap(Memory):
    """The board at the end of a probe's cable. `serial`: the probe's; None: the only probe."""

    name = "cmsis-dap"
    capabilities = Capabilities(
        enters=True, erases=True, verifies="bytes", resets=True, anywhere=True
    )

    def __init__(self, where: str, serial: str | None, host: Host) -> None:
        assert host.probe_target is not None, "boards/host.py: it goes with the transport"
        self.where = where
        self._serial = serial
        self._host = host
        self._session: Any = None
        self._flash: Any = None  # whose program is in the part's RAM
        # A flash outside the part is not mapped after a reset; the program maps it when it ends.
        self._readable = False
        _require_package()

    def enter_boot_loader(self) -> None:
        """Halts the part at its reset vector. Raises LockedError: its debug port is closed."""
        if self._session is None:
            self._session = self._do("connecting", self._connect)
        self._do("halting the board", self._halt)

    def _connect(self) -> Any:
        from pyocd.core.session import Session  # noqa: PLC0415
        from pyocd.probe.aggregator import DebugProbeAggregator  # noqa: PLC0415

        everything: Any = DebugProbeAggregator.get_all_connected_probes
        found = everything()
        probes = [one for one in found if self._serial in (None, one.unique_id)]
        if not probes:
            raise NoPortError(f"{self.where}: pyOCD does not see this probe")
        if len(probes) > 1:
            raise NotServedError(
                f"{self.where}: {len(probes)} probes cannot be told apart",
                "unplug all others" if self._serial else "say which with --port",
            )
        options = {**_OPTIONS, "project_dir": str(Path.cwd())}
        session: Any = Session(probes[0], options=options, target_override=self._host.probe_target)
        try:
            session.open()
            if not session.target.cores:
                raise NoAnswerError(self.where, "looking for the processor", _CONNECT_S)
        except Exception:
            locked = _is_locked(session)
            _quietly(session.close)
            if locked:
                raise LockedError(self.where, _LOCKED, _LOCKED_MEND) from None
            raise
        return session

    def _halt(self) -> None:
        target = self._session.target
        target.reset_and_halt()
        self._readable = False
        # What a reset leaves running would come in the way of the program in RAM.
        self._write_words(self._host.probe_before)

    def _write_words(self, words: Sequence[ProbeWrite]) -> None:
        target = self._session.target
        for word in words:
            target.write32(word.address, word.value)
        target.flush()

    def _prepare(self, address: int, size: int, operation: str) -> Any:
        """The flash program, loaded and ready for `operation`."""
        from pyocd.flash.flash import Flash  # noqa: PLC0415

        target = self._session.target
        region = target.memory_map.get_region_for_address(address)
        if region is None or not region.is_flash or not region.contains_range(address, length=size):
            raise NotServedError(
                f"{self.where}: {address:#010x} is not in the flash of {self._host.probe_target}",
                "check that this is the right board for the bundle",
            )
        self._flash = region.flash
        self._flash.init(Flash.Operation[operation])
        return region

    def _leave(self) -> None:
        """The flash can be read, and the part's RAM is nobody's."""
        if self._flash is not None:
            flash, self._flash = self._flash, None
            flash.cleanup()
            self._readable = True

    def erase(self, address: int, size: int) -> None:
        self._do("erasing", lambda: self._erase(address, size))

    def _erase(self, address: int, size: int) -> None:
        region = self._prepare(address, size, "ERASE")
        sector = region.sector_size
        for at in range(address // sector * sector, address + size, sector):
            region.flash.erase_sector(at)

    def write_segment(self, segment: Segment, progress: Progress) -> None:
        data, total = segment.data, len(segment.data)
        region = self._do("writing", lambda: self._prepare(segment.address, total, "PROGRAM"))
        page = region.page_size
        if segment.address % page:
            raise ValueError(f"{segment.address:#x} is not the start of a page")
        for at in range(0, total, page):
            part = data[at : at + page].ljust(page, b"\xff")

            def write(at: int = at, part: bytes = part) -> None:
                region.flash.program_page(segment.address + at, part)

            self._do("writing", write)
            progress(min(at + page, total), total)

    def read(self, address: int, size: int) -> bytes:
        def work() -> bytes:
            if self._flash is None and not self._readable:
                self._prepare(address, size, "PROGRAM")
            self._leave()
            return bytes(self._session.target.read_memory_block8(address, size))

        found = self._do("reading back", work)
        if len(found) != size:
            raise BadAnswerError(self.where, "reading back", f"{len(found)} of {size} bytes")
        return found

    def reset(self) -> None:
        def work() -> None:
            self._leave()
            target = self._session.target
            if not self._host.probe_reset:
                target.reset()
                return
            self._write_words(self._host.probe_reset)

        self._do("resetting", work)

    def close(self) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            _quietly(self._leave)
            _quietly(session.close)

    def _do(self, what: str, work: Callable[[], T]) -> T:
        """What pyOCD does, with its errors put into words for people."""
        from pyocd.core import exceptions  # noqa: PLC0415
        from pyocd.probe.pydapaccess.dap_access_api import DAPAccessIntf  # noqa: PLC0415
        from usb.core import USBError  # noqa: PLC0415

        try:
            with _silence():
                return work()
        except CoffretError:
            raise
        except (exceptions.Error, DAPAccessIntf.Error, USBError) as error:
            raise self._error(error, what) from error
        except Exception as error:  # pyOCD trusts a probe's answers: nonsense is any error there
            raise BadAnswerError(self.where, what, type(error).__name__) from error

    def _error(self, error: BaseException, what: str) -> CoffretError:
        from pyocd.core import exceptions  # noqa: PLC0415
        from pyocd.probe.pydapaccess.dap_access_api import DAPAccessIntf  # noqa: PLC0415
        from usb.core import USBError  # noqa: PLC0415

        chain = list(_causes(error))
        numbers = {one.errno for one in chain if isinstance(one, USBError)}
        if numbers & {errno.EACCES, errno.EPERM}:
            return NoPermissionError(self.where)
        if errno.EBUSY in numbers:
            return PortBusyError(self.where)
        gone = (USBError, exceptions.ProbeError, DAPAccessIntf.DeviceError)
        wires = DAPAccessIntf.TransferError  # which is a DeviceError there: the board's, in truth
        if any(isinstance(one, gone) and not isinstance(one, wires) for one in chain):
            return GoneError(self.where, what)
        if isinstance(error, exceptions.FlashFailure):
            return RefusedError(
                f"{self.where}: the part did not do it ({what}): {error}",
                "try again; if it happens again, the flash is worn out or write-protected",
            )
        return CoffretError(
            f"{self.where}: the probe answers, the board behind it does not ({what})",
            "check the board's power and the three wires to the probe: SWDIO, SWCLK, ground",
            ENVIRONMENT,
        )


def _is_locked(session: Any) -> bool:
    """Whether the part itself says so; of a locked one nothing else can be read."""
    with _silence(), contextlib.suppress(Exception):
        return bool(session.target.is_locked())
    return False


def _require_package() -> None:
    """Raises CoffretError: pyOCD is not installed."""
    if importlib.util.find_spec(PACKAGE) is None:
        raise CoffretError("debug probes need pyOCD, which is not installed", INSTALL, ENVIRONMENT)


def _causes(error: BaseException | None) -> Any:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _quietly(work: Callable[[], object]) -> None:
    """What is tried once more before giving up; the first error is the one that is told."""
    with _silence(), contextlib.suppress(Exception):
        work()


@contextlib.contextmanager
def _silence() -> Any:
    """pyOCD logs what it raises too."""
    logger = logging.getLogger("pyocd")
    before, logger.disabled = logger.level, True
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.disabled = False
