# SPDX-License-Identifier: Apache-2.0
"""What a program asks of the virtual machine, read from its syntax trees (see
`firmware.specialiser.specialise`).
"""
