# SPDX-License-Identifier: Apache-2.0
"""Where keys and the inventory live unless told otherwise (XDG Base Directory specification)."""

from __future__ import annotations

import os
from pathlib import Path


def keys_folder() -> Path:
    """`$COFFRET_KEYS`, else `$XDG_CONFIG_HOME/coffret/keys`, else `~/.config/coffret/keys`."""
    if chosen := os.environ.get("COFFRET_KEYS"):
        return Path(chosen)
    return _base("XDG_CONFIG_HOME", ".config") / "coffret" / "keys"


def inventory_location() -> str:
    """`$COFFRET_INVENTORY` (a file or a database URL), else `coffret/inventory.sqlite` in
    `$XDG_DATA_HOME` or `~/.local/share`.
    """
    if chosen := os.environ.get("COFFRET_INVENTORY"):
        return chosen
    return str(_base("XDG_DATA_HOME", ".local/share") / "coffret" / "inventory.sqlite")


def log_location() -> str:
    """`$COFFRET_LOG` (a file or a database URL), else the inventory, which keeps its own log."""
    return os.environ.get("COFFRET_LOG") or inventory_location()


def _base(variable: str, fallback: str) -> Path:
    chosen = os.environ.get(variable)
    return Path(chosen) if chosen else Path.home() / fallback
