# SPDX-License-Identifier: Apache-2.0
"""The processes: a parent that holds the port and keeps its workers alive, and the workers.

The port stays open while a dead worker is replaced, so clients wait instead of being turned away.
A worker whose parent dies ends at once: nothing acknowledged is only in its memory.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import socket
import ssl
import sys
from functools import partial

import uvicorn

from attest.service import logs
from attest.service.app import make_app
from attest.service.core import Service
from attest.service.notices import load_secret
from attest.service.protocol import CertificateProtocol
from attest.service.settings import Settings
from attest.service.supervisor import Supervisor
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
    scheme = "http" if settings.tls is None else "https"
    bound, number = listener.getsockname()[:2]
    where = f"[{bound}]" if ":" in bound else bound
    logs.note("listening", url=f"{scheme}://{where}:{number}", workers=workers, pid=os.getpid())
    gc.collect()
    gc.freeze()  # what is loaded stays, and the workers share its pages
    with listener:
        work = partial(_work, settings, listener, os.getpid())
        Supervisor(work, workers, GRACE + 1).run()
    logs.note("ended")


def _work(settings: Settings, listener: socket.socket, parent: int) -> None:
    """A worker, in its process."""
    end_with(parent)
    tls = settings.tls
    client_ca = None if tls is None else tls.client_ca
    config = uvicorn.Config(
        make_app(settings),
        loop="uvloop",
        http=CertificateProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE,
        ssl_certfile=None if tls is None else tls.certificate,
        ssl_keyfile=None if tls is None else tls.key,
        ssl_ca_certs=None if client_ca is None else str(client_ca),
        ssl_cert_reqs=ssl.CERT_NONE if client_ca is None else ssl.CERT_REQUIRED,
    )
    uvicorn.Server(config).run(sockets=[listener])


def end_with(parent: int) -> None:
    """Have the system end this process when its parent ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(ENVIRONMENT)  # it died before that


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
