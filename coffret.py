# SPDX-License-Identifier: Apache-2.0
"""The front door: the `coffret` command, which only mounts each package's verbs."""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from importlib import import_module

import rich_click as click

from boards.errors import ENVIRONMENT, CoffretError

PACKAGES = ("boards", "enclaves", "firmware", "flasher", "attest")
# Verbs that are typed all day start without the packages that have no part in them.
ALONE = {"build": "firmware", "check": "enclaves", "flows": "enclaves"}

# What no verb can mend, wherever it meets it.
OF_THE_DISK = {
    errno.ENOSPC: "no space is left",
    errno.EDQUOT: "no space is left",
    errno.EROFS: "the file system is read-only",
}


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="coffret")
def coffret() -> None:
    """Personal-data appliances, sealed into firmware you can check."""


def needed(words: Sequence[str]) -> Sequence[str]:
    """The packages whose verbs the command line may name."""
    alone = ALONE.get(words[0]) if words else None
    return PACKAGES if alone is None else (alone,)


def main() -> None:
    """Run the command; exit 0 done, 1 the answer is no, 2 usage or manifest, 3 environment."""
    try:
        for package in needed(sys.argv[1:]):
            import_module(f"{package}.cli").mount(coffret)
        coffret(prog_name="coffret", standalone_mode=True)
    except CoffretError as error:
        print(error.text(), file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:  # before a verb runs; from there on click says it
        print("Aborted.", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        if error.errno not in OF_THE_DISK:
            raise
        print(f"error: {error.filename or 'disk'}: {OF_THE_DISK[error.errno]}", file=sys.stderr)
        print("mend: make room there, or name another place, then repeat it", file=sys.stderr)
        sys.exit(ENVIRONMENT)


if __name__ == "__main__":
    main()
