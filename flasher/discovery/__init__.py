# SPDX-License-Identifier: Apache-2.0
"""Which boards are at hand, and how each can be reached."""

from flasher.discovery.device import SMP, Device, Mode
from flasher.discovery.search import Sources, find, rename

__all__ = ["SMP", "Device", "Mode", "Sources", "find", "rename"]
