# SPDX-License-Identifier: Apache-2.0
"""What of the virtual machine an appliance needs, and nothing else of it."""
