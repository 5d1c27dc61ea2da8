# SPDX-License-Identifier: Apache-2.0
"""An STM32F405 under QEMU, with the two devices that QEMU's machine lacks and coffret needs."""
