# SPDX-License-Identifier: Apache-2.0
"""Verbs of the `enclaves` package."""

from __future__ import annotations

import rich_click as click


def mount(group: click.Group) -> None:
    """Add this package's verbs to the front door."""
