# SPDX-License-Identifier: Apache-2.0
"""Pinned sources and the pinned compiler: virtual machine, monitor, tables, boot."""
