# SPDX-License-Identifier: Apache-2.0
"""A worker's grip on the boards it has leased.

The lease is renewed by a thread while the worker lives. A worker that was frozen may have lost its
boards without knowing: before every request to a board the guard looks at a clock that went on
meanwhile, and asks the inventory when the lease may have ended. What can still go out after a thaw
is one request that was past the guard already, and every request is harmless then: an upload's
chunk counts only at the offset the board waits for and the image only with its signature, and
whatever else is written is the same whoever writes it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from attest.units import Held, StaleTokenError

_RENEWALS = 3  # in the time of a lease


def clock() -> float:
    """Seconds that count on while the process, or the computer, sleeps."""
    boot_time = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot_time is None else time.clock_gettime(boot_time)


class Grip:
    """One lease, and when it was renewed last. Calling it is the guard of `smp.Board`."""

    def __init__(self, held: Held, now: Callable[[], float] = clock) -> None:
        self.held = held
        self._now = now
        self._renewed = now()
        self._lost = False

    def __call__(self) -> None:
        """Raises StaleTokenError when the board is, or may be, somebody else's."""
        if self._lost:
            raise StaleTokenError(self.held.serial, self.held.token)
        if self._now() - self._renewed > self.held.lease_ms / 1000 / _RENEWALS:
            self.renew()

    def renew(self) -> None:
        """Renews the lease now. Raises StaleTokenError."""
        asked = self._now()
        try:
            self.held.check()
        except StaleTokenError:
            self._lost = True
            raise
        self._renewed = asked


class Keeper:
    """Renews all grips of a worker, in a thread."""

    def __init__(self, lease_ms: int) -> None:
        self._pause = lease_ms / 1000 / _RENEWALS
        self._grips: dict[str, Grip] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
        self._thread.start()

    def keep(self, grip: Grip) -> None:
        """Renews `grip` from now on."""
        with self._lock:
            self._grips[grip.held.holder] = grip

    def forget(self, grip: Grip) -> None:
        """Renews it no more."""
        with self._lock:
            self._grips.pop(grip.held.holder, None)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._pause):
            with self._lock:
                grips = list(self._grips.values())
            for grip in grips:
                try:
                    grip.renew()
                except StaleTokenError:
                    self.forget(grip)
                except Exception:  # a database that is away: the lease runs out by itself
                    continue
