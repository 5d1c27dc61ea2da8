# SPDX-License-Identifier: Apache-2.0
"""The names of the ways to a board."""

from typing import Literal, TypeAlias

TransportName: TypeAlias = Literal[
    "smp-serial", "uf2", "picoboot", "dfu", "an3155", "cmsis-dap", "esptool", "virtual"
]
