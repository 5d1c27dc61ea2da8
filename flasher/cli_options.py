# SPDX-License-Identifier: Apache-2.0
"""Options and arguments that several verbs of this package have."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

PORT = click.option("--port", help="Port, or a virtual board's name; default: the only board.")
KEYS = click.option(
    "--keys", "folder", type=click.Path(path_type=Path, file_okay=False), help="Folder of the keys."
)
INVENTORY = click.option("--inventory", "location", help="Inventory: a file or a database URL.")
SECRETS = click.option(
    "--secrets",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of wrapped secrets for new boards (coffret secrets); default: made here.",
)
SECRET_KEY = click.option(
    "--secret-key", metavar="PKCS11-URI", help="The key in a token that wrapped --secrets."
)
BUNDLE = click.argument("bundle", type=click.Path(path_type=Path, exists=True))
