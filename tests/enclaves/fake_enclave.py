# SPDX-License-Identifier: Apache-2.0
"""Enclaves of an example on the host: the modules as they are, the reference monitor between them.

Each enclave is a thread that runs in turns, so a run is the same every time. Time is made up.
"""

from __future__ import annotations

import builtins
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from enclaves.labels import label
from enclaves.monitor_model import Answer, Channel, Gate, Monitor, System, Task, Way
from firmware.appliance.manifest import Manifest


def system_of(manifest: Manifest) -> System:
    """The reference monitor's system for a manifest."""
    return System(
        tasks=(
            *(
                Task(name, label((*e.sees, *e.makes)), label((*e.trusts, *e.vouched)))
                for name, e in manifest.enclaves.items()
            ),
            *(Task(name, label(s.accepts), sink=True) for name, s in manifest.sinks.items()),
        ),
        channels=tuple(
            Channel(
                c.sender_name,
                c.source,
                c.target,
                c.min_size,
                c.max_size,
                c.depth,
                c.gate,
                Way(c.kind),
                c.reply_max,
            )
            for c in manifest.channels
        ),
        gates=tuple(
            Gate(
                g.name,
                g.enclave,
                label(g.releases),
                label(g.vouches),
                g.budget.size,
                g.budget.messages,
                g.budget.window_s,
            )
            for g in manifest.gates
        ),
    )


class StopRunError(BaseException):
    """The run is over: unwinds an enclave's endless loop."""


class Denied(Exception):  # noqa: N818 - the device's name for it
    """As on the device."""


class Run:
    """One appliance, run until `end_ms` of its time have gone by."""

    def __init__(self, manifest: Manifest, end_ms: int) -> None:
        self.manifest = manifest
        self.monitor = Monitor(system_of(manifest))
        self.now_ms = 0
        self.logged: list[tuple[str, str]] = []
        self._end_ms = end_ms
        self._wake = dict.fromkeys(manifest.enclaves, 0)
        self._turn = threading.Condition()
        self._running = ""
        self._failures: list[BaseException] = []

    def run(self) -> None:
        """Run every enclave to the end. Raises what an enclave raised."""
        threads = [
            threading.Thread(target=self._live, args=(name,), daemon=True)
            for name in self.manifest.enclaves
        ]
        with self._turn:
            for thread in threads:
                thread.start()
            while self._wake and not self._failures:
                name = min(self._wake, key=lambda n: (self._wake[n], n))
                self.now_ms = max(self.now_ms, self._wake[name])
                self._running = name
                self._turn.notify_all()
                self._turn.wait_for(lambda: not self._running, 20)
        for thread in threads:
            thread.join(0.1)
        if self._failures:
            raise self._failures[0]

    def _live(self, name: str) -> None:
        with self._turn:
            self._turn.wait_for(lambda: self._running == name)
            try:
                main = self.manifest.modules[name][0]
                self._execute(main.path, self._builtins(name))
            except StopRunError:
                pass
            except BaseException as error:
                self._failures.append(error)
            self._wake.pop(name, None)
            self._running = ""
            self._turn.notify_all()

    def _builtins(self, name: str) -> dict[str, object]:
        """Python's, but for imports: `enclave` and the enclave's own modules come from here."""
        paths = {m.name: m.path for m in self.manifest.modules[name]}
        modules = {"enclave": self._module(name)}

        def importer(wanted: str, *rest: Any) -> ModuleType:
            if wanted in paths and wanted not in modules:
                modules[wanted] = ModuleType(wanted)
                modules[wanted].__dict__.update(self._execute(paths[wanted], names))
            return modules.get(wanted) or builtins.__import__(wanted, *rest)

        names: dict[str, object] = {**vars(builtins), "__import__": importer}
        return names

    def _execute(self, path: Path, names: dict[str, object]) -> dict[str, Any]:
        scope: dict[str, Any] = {"__name__": path.stem, "__builtins__": names}
        exec(compile(path.read_bytes(), str(path), "exec"), scope)  # noqa: S102 - what is tested
        del scope["__builtins__"]
        return scope

    def _pause(self, name: str, until_ms: int) -> None:
        """Let others run until then; the end of the run ends everybody."""
        self._wake[name] = until_ms
        self._running = ""
        self._turn.notify_all()
        self._turn.wait_for(lambda: self._running == name)
        if self.now_ms >= self._end_ms:
            raise StopRunError

    def _module(self, name: str) -> ModuleType:
        module = ModuleType("enclave")
        monitor, run = self.monitor, self
        channels = monitor.system.channels

        def find(end: Callable[[Channel], bool]) -> int:
            for number, channel in enumerate(channels):
                if end(channel):
                    return number
            raise ValueError("no such channel")

        class Sender:
            def __init__(self, number: int) -> None:
                self.number = number

            def send(self, data: bytes) -> bool:
                answer = monitor.send(name, self.number, bytes(data), run.now_ms * 1000)
                if answer is Answer.DENIED:
                    raise Denied(channels[self.number].name)
                if answer is Answer.SIZE:
                    raise ValueError("message size")
                return answer is Answer.OK

            release = send

        class Receiver:
            def __init__(self, number: int) -> None:
                self.number = number

            def receive(self) -> bytes | None:
                found = monitor.receive(name, self.number, channels[self.number].max_size)
                return found if isinstance(found, bytes) else None

        def wait(*inputs: Receiver, timeout_ms: int | None = None) -> Receiver | None:
            end = run._end_ms if timeout_ms is None else run.now_ms + timeout_ms
            while True:
                for one in inputs:
                    if one.number in monitor.readable(name):
                        return one
                if run.now_ms >= end and timeout_ms is not None:
                    return None
                run._pause(name, run.now_ms + 1)

        def log(text: str) -> None:
            if not monitor.system.task(name).secrecy:
                run.logged.append((name, text))

        members: dict[str, object] = {
            "Denied": Denied,
            "output": lambda to: Sender(
                find(lambda c: (c.source, c.name, c.gate) == (name, to, None))
            ),
            "gate": lambda of: Sender(
                find(lambda c: (c.source, c.name) == (name, of) and c.gate is not None)
            ),
            "input": lambda frm: Receiver(find(lambda c: (c.source, c.target) == (frm, name))),
            "wait": wait,
            "log": log,
            "debug": log,
            "ticks_ms": lambda: run.now_ms,
            "sleep_ms": lambda ms: run._pause(name, run.now_ms + ms),
            "name": lambda: name,
        }
        module.__dict__.update(members)
        return module
