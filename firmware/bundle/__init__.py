# SPDX-License-Identifier: Apache-2.0
"""What a build gives: its folder, facts, bill of materials, provenance, symbols, sizes."""
