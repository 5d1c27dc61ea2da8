# SPDX-License-Identifier: Apache-2.0
"""uvicorn's HTTP protocol, which also tells the application the client's certificate."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from attest.service.http import CLIENT_CERTIFICATE


class CertificateProtocol(HttpToolsProtocol):
    """Puts the certificate (DER) that TLS verified into the scope's extensions."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        tls = self.transport.get_extra_info("ssl_object")
        certificate = None if tls is None else tls.getpeercert(binary_form=True)
        if certificate is not None:
            extensions = self.scope.setdefault("extensions", {})
            assert extensions is not None
            extensions[CLIENT_CERTIFICATE] = certificate
