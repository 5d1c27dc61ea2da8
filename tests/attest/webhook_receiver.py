# SPDX-License-Identifier: Apache-2.0
"""A real HTTP server that takes webhooks, and refuses as many as it is told to first."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook


class Receiver:
    """A context manager. `taken` are the verified events, `tries` the times of every attempt."""

    def __init__(self, folder: Path, refuse: int = 0) -> None:
        self.taken: list[dict[str, Any]] = []
        self.tries: list[tuple[float, str]] = []  # when, webhook-id
        self.secret = folder / "webhook.secret"
        text = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        self.secret.touch(mode=0o600)
        self.secret.write_text(text)
        checker, outer, left = Webhook(text), self, [refuse]

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.tries.append((time.monotonic(), self.headers["webhook-id"]))
                checker.verify(body, dict(self.headers.items()))  # raises for a bad signature
                if left[0] > 0:
                    left[0] -= 1
                    self.send_response(503)
                else:
                    outer.taken.append(json.loads(body))
                    self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"

    def __enter__(self) -> Receiver:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait_for(self, count: int, seconds: float = 180.0) -> list[dict[str, Any]]:
        until = time.monotonic() + seconds
        while len(self.taken) < count:
            assert time.monotonic() < until, (self.taken, self.tries)
            time.sleep(0.05)
        return self.taken
