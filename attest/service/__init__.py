# SPDX-License-Identifier: Apache-2.0
"""`coffret serve`: the verifier as an HTTP service, and its page for operators.

One file a noun: `session` (a sealed challenge), `access` (who may do what), `references` (what
devices should run), `appraiser` (evidence to finding), `batch` (many answers, one transaction),
`notices` (webhooks), `caretaker` (what ages), `api` (HTTP), `page` (HTML), `server` (processes).
"""
