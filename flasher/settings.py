# SPDX-License-Identifier: Apache-2.0
"""What an operator gives to one board for its appliance to read: names and values.

They are data like any other: public, vouched for by nobody, and fixed once the board is secured, so
that whoever holds the cable later cannot change them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

from boards.errors import USAGE, CoffretError
from flasher.errors import RefusedError
from flasher.flash import require_application
from flasher.messages import SETTINGS_MAX, GroupError
from flasher.smp import Board
from flasher.transport import Guard, unguarded

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,31}")


class SettingsError(CoffretError):
    """Settings that no board could hold."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what, mend, USAGE)


def encode(settings: Mapping[str, str]) -> str:
    """The text a board keeps, sorted by name. Raises SettingsError."""
    for name, value in settings.items():
        if not NAME.fullmatch(name):
            raise SettingsError(
                f"{name!r} is no name of a setting",
                "at most 32 letters, digits, _ - and ., beginning with a letter",
            )
        if not value.isprintable():
            raise SettingsError(f"{name}: its value is not one line of text", "write it plainly")
    text = "".join(f"{name}={value}\n" for name, value in sorted(settings.items()))
    size = len(text.encode())
    if size > SETTINGS_MAX:
        raise SettingsError(
            f"the settings take {size} bytes, a board has room for {SETTINGS_MAX}", "shorten them"
        )
    return text


def digest(settings: Mapping[str, str]) -> str:
    """The SHA-256, in hex, by which a board with these tells them in its evidence."""
    return hashlib.sha256(encode(settings).encode()).hexdigest()


def decode(text: str) -> dict[str, str]:
    """The settings in a board's text, whatever it sent: lines that are none are left out."""
    pairs = (line.partition("=") for line in text.splitlines())
    return {name: value for name, is_one, value in pairs if is_one and NAME.fullmatch(name)}


def parse(words: Iterable[str]) -> dict[str, str]:
    """From `NAME=VALUE` as a person writes it. Raises SettingsError."""
    found: dict[str, str] = {}
    for word in words:
        name, is_one, value = word.partition("=")
        if not is_one:
            raise SettingsError(f"{word!r} is no setting", "write NAME=VALUE")
        found[name] = value
    return found


def read(port: str, guard: Guard = unguarded) -> dict[str, str]:
    """What the board at `port` was given. Raises RefusedError: its image reads no settings."""
    with Board.open(port, guard=guard) as board:
        require_application(board, "tell its settings")
        try:
            return decode(board.settings())
        except RefusedError as refused:
            raise _said(port, refused) from refused


def give(port: str, settings: Mapping[str, str], guard: Guard = unguarded) -> bool:
    """The board holds exactly these; whether it had to be told. Nothing is half-written.

    Raises SettingsError, and RefusedError: it is secured, or its image reads no settings.
    """
    text = encode(settings)
    with Board.open(port, guard=guard) as board:
        require_application(board, "be given settings")
        try:
            if board.settings() == text:
                return False
            board.set_settings(text)
        except RefusedError as refused:
            raise _said(port, refused) from refused
    return True


def _said(port: str, refused: RefusedError) -> RefusedError:
    if refused.code == GroupError.ACCESS_DENIED:
        return RefusedError(
            f"{port}: the board is secured, and its settings are fixed",
            "give settings before the board is provisioned; coffret settings shows what it has",
            code=refused.code,
        )
    if refused.code == GroupError.NOT_SUPPORTED:
        return RefusedError(
            f"{port}: the image that runs there reads no settings",
            'an enclave reads them with `devices = ["settings"]` in its manifest',
            code=refused.code,
        )
    return refused
