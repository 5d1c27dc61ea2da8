# SPDX-License-Identifier: Apache-2.0
"""Benchmarks: sizes in bytes and counts of instructions, never wall-clock times."""
