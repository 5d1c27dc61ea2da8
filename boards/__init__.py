# SPDX-License-Identifier: Apache-2.0
"""Board facts: one folder a board, shared C per core and family."""

from boards.errors import CoffretError
from boards.model import Board, BoardError, load, names

__all__ = ["Board", "BoardError", "CoffretError", "load", "names"]
