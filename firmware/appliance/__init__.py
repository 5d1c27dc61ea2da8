# SPDX-License-Identifier: Apache-2.0
"""What people write, read and checked as a whole: manifest, modules, grants, assertions."""
