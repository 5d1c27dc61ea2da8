# SPDX-License-Identifier: Apache-2.0
"""Appliance to image: manifest, plan, build, bundle."""
