"""Runs the service until it is told to stop."""

import logging
import signal
import socket
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from tfod_kit.errors import UsageError

_BACKLOG = 2048  # connections that wait to be taken, uvicorn's own default


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens at an address; port 0 takes a free one.

    Raises:
      UsageError: the address is taken or not this machine's.
    """
    kind = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(kind, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        # From here on who connects is kept waiting, not refused, until the service takes requests.
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        raise UsageError(
            "The service cannot listen there.",
            where=f"{host}:{port}",
            found=error.strerror or str(error),
            fix="Name another address with --host and --port; port 0 takes a free one.",
        ) from error
    return bound


def run(app: Starlette, bound: socket.socket, *, patience_s: float, access_log: bool) -> None:
    """Serves until SIGINT or SIGTERM, then answers what is under way and returns.

    Args:
      app: the application.
      bound: where to listen.
      patience_s: how long what is under way may take at the end, in seconds.
      access_log: whether to log each request.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="info" if access_log else "warning",
        access_log=access_log,
        server_header=False,
        timeout_graceful_shutdown=round(patience_s) + 1,
    )
    # uvicorn raises the signal that stopped it once more when it is done. To be stopped is what a
    # service expects, so that is no error here.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _ignore)
    uvicorn.Server(config).run(sockets=[bound])


def _ignore(number: int, frame: FrameType | None) -> None:
    pass
