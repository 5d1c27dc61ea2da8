# SPDX-License-Identifier: Apache-2.0
"""Has a secret; the log must not."""

import enclave

enclave.log("the secret is 42")
raise ValueError("the secret is 42")
