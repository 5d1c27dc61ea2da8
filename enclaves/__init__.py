# SPDX-License-Identifier: Apache-2.0
"""Tags, labels, the flow graph and its proof, grants, the policy document, the reference monitor.

Pure values and functions over them: nothing here knows of manifests, boards or images.
"""
