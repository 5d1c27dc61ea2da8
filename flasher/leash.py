# SPDX-License-Identifier: Apache-2.0
"""Child processes that never outlive this one, however it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

# A subshell waits for the end of a pipe whose other end only the parent holds, then kills. `exec`
# makes the program the session's leader, and a process id is not given out again while its process
# group has a member (POSIX.1-2017, section 4.14), so the subshell can never hit a stranger.
_SCRIPT = 'exec 3<&0 </dev/null; (read -r _; kill -9 $$) <&3 >/dev/null 2>&1 & exec "$@" 3<&-'

_STOP_S = 10.0


class Leashed:
    """A running program in a session of its own; a terminal's Ctrl-C does not reach it.

    `stdout` and `stderr` are as `subprocess.Popen` takes them.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        stdout: int | IO[bytes],
        stderr: int | IO[bytes],
        pass_fds: Sequence[int] = (),
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, command[0], *command],
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=stderr,
            pass_fds=tuple(pass_fds),
            cwd=cwd,
            env=env,
            start_new_session=True,
        )

    @property
    def stdout(self) -> IO[bytes] | None:
        """The read end of its output, if that is a pipe."""
        return self._process.stdout

    def wait(self, seconds: float | None = None) -> int:
        """Its exit status, once it ended. Raises subprocess.TimeoutExpired."""
        return self._process.wait(seconds)

    def terminate(self, seconds: float = _STOP_S) -> None:
        """Asks it to end; kills it when it does not within `seconds`."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """Ends it at once, with everything it started in its session's group."""
        assert self._process.stdin is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.stdin.close()
        self._process.wait(_STOP_S)
