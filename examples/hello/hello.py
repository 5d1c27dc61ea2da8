# SPDX-License-Identifier: Apache-2.0
import enclave

enclave.log("hello from coffret")
