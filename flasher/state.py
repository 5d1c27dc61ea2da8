# SPDX-License-Identifier: Apache-2.0
"""Where virtual boards live: a private directory a user, one state directory a board.

A state directory holds `flash.bin` (mode 0600: it holds the board's secret), `port0` (management)
and `port1` (the first stream), which are links to pseudo-terminals, `run.json`, `emulator.log` and
`lock`, which the running board holds, so that a crash cannot leave a board behind that only looks
alive.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from flasher.errors import EmulatorError

RUN_FILE = "run.json"
LOCK_FILE = "lock"
FLASH_FILE = "flash.bin"
# Only there while a throw-away board runs: nobody will ask for its flash again.
THROWAWAY_FILE = "throwaway"
_RUN_MAX = 16 * 1024


@dataclass(frozen=True, slots=True)
class Run:
    """What `run.json` says of a running virtual board. Paths are absolute."""

    name: str
    board: str
    appliance: str
    version: str
    pid: int
    state: str
    port: str
    streams: tuple[str, ...]


def runtime_root(environment: dict[str, str] | None = None) -> Path:
    """The user's directory of virtual boards, made if it is missing; mode 0700.

    Raises EmulatorError when somebody else owns it: it would let them replace a port.
    """
    base = (os.environ if environment is None else environment).get("XDG_RUNTIME_DIR") or "/tmp"
    root = Path(base) / f"coffret-{os.getuid()}"
    root.mkdir(mode=0o700, exist_ok=True)
    facts = root.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise EmulatorError(
            f"{root}: is not a private directory of yours",
            "remove it, or set XDG_RUNTIME_DIR to a directory that only you can write",
        )
    return root


class StateLock:
    """Holds a state directory for as long as this process lives. Raises EmulatorError: taken."""

    def __init__(self, state: Path) -> None:
        self._fd = os.open(state / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._fd)
            raise EmulatorError(
                f"{state}: a virtual board already runs there",
                "use that one (coffret devices), or give another --state directory",
            ) from None

    def release(self) -> None:
        """Lets the next one in."""
        os.close(self._fd)


def is_running(state: Path) -> bool:
    """Whether a live process holds the directory."""
    try:
        fd = os.open(state / LOCK_FILE, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def new_state(root: Path, stem: str) -> Path:
    """A fresh state directory `STEM-N` with the lowest free N; mode 0700.

    Throw-away boards whose process was killed are cleared away on the way.
    """
    for number in range(1, 10_000):
        state = root / f"{stem}-{number}"
        if (state / THROWAWAY_FILE).exists() and not is_running(state):
            shutil.rmtree(state, ignore_errors=True)
        try:
            state.mkdir(mode=0o700)
        except FileExistsError:
            continue
        return state
    raise EmulatorError(f"{root}: ten thousand virtual boards", f"remove old ones: rm -r {root}")


def announce(root: Path, run: Run) -> None:
    """Writes `run.json`, and a link in `root` when the state directory lies elsewhere."""
    state = Path(run.state)
    write_atomically(state / RUN_FILE, json.dumps(asdict(run), indent=2).encode() + b"\n")
    if state.parent != root:
        link = root / run.name
        link.unlink(missing_ok=True)
        link.symlink_to(state)


def withdraw(root: Path, run: Run) -> None:
    """Takes back what `announce` wrote."""
    (Path(run.state) / RUN_FILE).unlink(missing_ok=True)
    link = root / run.name
    if link.is_symlink():
        link.unlink()


def running(root: Path | None = None) -> tuple[Run, ...]:
    """The virtual boards of this user that run now, by name."""
    return tuple(_running(runtime_root() if root is None else root))


def _running(root: Path) -> Iterator[Run]:
    for entry in sorted(root.iterdir()):
        run = _read(entry / RUN_FILE)
        if run is not None and is_running(entry):
            yield run


def _read(path: Path) -> Run | None:
    try:
        facts = json.loads(path.read_bytes()[:_RUN_MAX])
        return Run(**{**facts, "streams": tuple(facts["streams"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_atomically(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Writes a file so that a reader sees the old or the new one, never a part."""
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
