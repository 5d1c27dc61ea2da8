# SPDX-License-Identifier: Apache-2.0
"""Ways to a board's memory, all behind one small interface (`interface.Transport`).

Each module is one way; what it needs beside the interface is private to it.
"""
