# SPDX-License-Identifier: Apache-2.0
"""Board facts: one folder a board, shared C per core and family."""
