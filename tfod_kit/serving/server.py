"""Listens, and runs the service until it is stopped."""

import logging
import signal
import socket
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from tfod_kit.errors import UsageError

_BACKLOG = 2048  # connections waiting to be accepted: uvicorn's default


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens at an address; port 0 takes a free one.

    Raises:
      UsageError: the address is in use or not one of this machine.
    """
    kind = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where the protocol is stated. Without it the body of an answer
    # waits 40 ms for the acknowledgement of its headers.
    bound = socket.socket(kind, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        # From here on, connections are not refused but wait until the service accepts requests.
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        raise UsageError(
            "The service cannot listen at this address.",
            where=f"{host}:{port}",
            found=error.strerror or str(error),
            fix="Name another address with --host and --port; port 0 takes a free one.",
        ) from error
    return bound


def run(app: Starlette, bound: socket.socket, *, grace_s: float, access_log: bool) -> None:
    """Serves until SIGINT or SIGTERM, then finishes the requests in progress and returns.

    Args:
      app: the application.
      bound: the socket to listen on.
      grace_s: how long requests in progress may take at the end, in seconds.
      access_log: whether to log each request.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="info" if access_log else "warning",
        access_log=access_log,
        server_header=False,
        timeout_graceful_shutdown=round(grace_s) + 1,
    )
    # Once uvicorn is done, it raises the signal that stopped it again. Stopping a service is not an
    # error, so the signal is ignored here.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _ignore)
    uvicorn.Server(config).run(sockets=[bound])


def _ignore(number: int, frame: FrameType | None) -> None:
    pass
