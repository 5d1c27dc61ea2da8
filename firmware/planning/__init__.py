# SPDX-License-Identifier: Apache-2.0
"""From a checked appliance to the plan: numbers, addresses, permissions."""
