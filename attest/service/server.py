# SPDX-License-Identifier: Apache-2.0
"""The processes: a parent that holds the port and keeps its workers alive, and the workers.

A worker that dies is started anew; the port stays open meanwhile, so clients wait instead of being
turned away. A worker whose parent dies ends at once: nothing acknowledged is only in its memory.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
from functools import partial

import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from attest.service import logs
from attest.service.app import make_app
from attest.service.core import Service
from attest.service.notices import load_secret
from attest.service.protocol import CertificateProtocol
from attest.service.settings import Settings
from boards.errors import ENVIRONMENT, CoffretError

BACKLOG = 2048
GRACE = 10  # seconds that requests in flight have when the service is stopped
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def serve(settings: Settings, host: str, port: int, workers: int) -> None:
    """Serve until SIGTERM or SIGINT; port 0 takes any free one. Raises CoffretError."""
    logs.set_up()
    Service.open(settings).inventory.close()  # an error here is said once, not by each worker
    if settings.webhook is not None:
        load_secret(settings.webhook.secret)
    listener = _listen(host, port)
    tls = settings.tls
    config = uvicorn.Config(
        partial(worker_app, settings, os.getpid()),
        factory=True,
        workers=workers,
        loop="uvloop",
        http=CertificateProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        date_header=True,
        timeout_graceful_shutdown=GRACE,
        ssl_certfile=None if tls is None else tls.certificate,
        ssl_keyfile=None if tls is None else tls.key,
        ssl_ca_certs=None if tls is None or tls.client_ca is None else str(tls.client_ca),
        ssl_cert_reqs=2 if tls is not None and tls.client_ca is not None else 0,
    )
    scheme = "http" if tls is None else "https"
    bound, number = listener.getsockname()[:2]
    where = f"[{bound}]" if ":" in bound else bound
    logs.note("listening", url=f"{scheme}://{where}:{number}", workers=workers, pid=os.getpid())
    with listener:
        Multiprocess(config, [listener]).run()
    logs.note("ended")


def worker_app(settings: Settings, parent: int) -> ASGIApp:
    """The application of a worker, called in its process."""
    logs.set_up()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(ENVIRONMENT)  # it died while this process started
    return make_app(settings)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise CoffretError(
            f"cannot listen on {host}:{port}: {error.strerror}",
            "choose another address with --listen",
            ENVIRONMENT,
        ) from error
