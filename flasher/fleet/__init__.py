# SPDX-License-Identifier: Apache-2.0
"""Many boards at once: what a fleet file says, who works on which board, and how it goes.

fleet file (`config`) -> plan (`plan`) -> campaign in the inventory (`attest.campaigns`) -> jobs,
which workers take (`worker`, durable workflows on DBOS), each on a leased board (`attest.units`).
"""
