# SPDX-License-Identifier: Apache-2.0
"""Signed images in MCUboot's format: made, read back, audited; and whose signature counts."""
