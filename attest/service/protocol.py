# SPDX-License-Identifier: Apache-2.0
"""uvicorn's HTTP protocol: bounded requests, and the client's certificate for the application.

uvicorn with httptools bounds neither how long a request may take to come nor how large its head may
be, and a stranger without a key could hold every connection, or fill the memory.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from attest.service.http import CLIENT_CERTIFICATE

HEAD_MAX = 32 * 1024  # bytes of request line and headers
MESSAGE_MAX = 1024 * 1024  # with body and trailers; each endpoint takes much less


class CertificateProtocol(HttpToolsProtocol):
    """Ends a connection whose request is too slow or too large, before anybody looks at it.

    Puts the certificate (DER) that TLS verified into the scope's extensions.
    """

    request_within_s = 30.0  # from the connection, or the request's first byte, to its last one
    _timer: asyncio.TimerHandle | None = None
    _received = 0  # bytes of this message, to the end of the chunk that they came in
    _most = HEAD_MAX

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        super().data_received(data)
        if self._received > self._most:
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begin()
        tls = self.transport.get_extra_info("ssl_object")
        certificate = None if tls is None else tls.getpeercert(binary_form=True)
        if certificate is not None:
            extensions = self.scope.setdefault("extensions", {})
            assert extensions is not None
            extensions[CLIENT_CERTIFICATE] = certificate

    def on_headers_complete(self) -> None:
        self._most = MESSAGE_MAX
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._end()
        self._received, self._most = 0, HEAD_MAX
        super().on_message_complete()

    def _begin(self) -> None:
        self._end()
        self._timer = self.loop.call_later(self.request_within_s, self._late)

    def _late(self) -> None:
        self.transport.close()

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
