# SPDX-License-Identifier: Apache-2.0
"""Attacks on what a device shows to a verifier: `table` has all of them."""
