# SPDX-License-Identifier: Apache-2.0
"""The types of what an appliance was granted, and mypy over its modules."""
