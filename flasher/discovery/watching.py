# SPDX-License-Identifier: Apache-2.0
"""`coffret devices --watch`: what comes and what goes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator

import rich_click as click

from flasher.discovery.device import Device
from flasher.discovery.search import find

_PERIOD_S = 0.5


def line(device: Device, answer: dict[str, object] | None = None) -> str:
    """One board for a person."""
    said = answer or {}
    mode = said.get("mode", device.mode)
    parts = [f"{device.name:<24} {device.path:<16} {mode:<12} {device.transport or '-':<10}"]
    parts.append(device.says)
    if said.get("version"):
        parts.append(f"runs {said['version']}")
    erases = said.get("store_erases")
    if isinstance(erases, tuple):
        parts.append(f"record store erased {erases[0]} + {erases[1]} times")
    if said.get("trust"):
        parts.append(f"{said['trust']}")
    if device.mend:
        parts.append(f"(not ready: {device.mend})")
    return " ".join(parts)


def changes(rounds: Iterable[tuple[Device, ...]]) -> Iterator[tuple[str, Device]]:
    """`came`, `went` or `changed`, and the board, from one look to the next."""
    known: dict[str, Device] = {}
    for found in rounds:
        now = {device.path: device for device in found}
        for path in known.keys() - now.keys():
            yield "went", known[path]
        for path, device in now.items():
            if path not in known:
                yield "came", device
            elif known[path] != device:
                yield "changed", device
        known = now


def _looks(look: Callable[[], tuple[Device, ...]]) -> Iterator[tuple[Device, ...]]:
    while True:
        yield look()
        time.sleep(_PERIOD_S)


def watch(as_json: bool) -> None:
    """Tells changes until Ctrl-C."""
    try:
        for event, device in changes(_looks(find)):
            if as_json:
                click.echo(json.dumps({"event": event, "device": device.to_json()}))
            else:
                click.echo(f"{event:<8} {line(device)}")
    except KeyboardInterrupt:
        return
