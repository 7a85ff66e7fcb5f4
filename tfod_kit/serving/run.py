"""`tfod serve` as a function: loads a model, warms it up and serves until it is stopped."""

import ipaddress
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit.errors import SetupError, UsageError
from tfod_kit.serving.limits import Limits
from tfod_kit.serving.options import ServeOptions

if TYPE_CHECKING:
    from tfod_kit.detectors import Detector

_MB = 10**6


def serve(model: Path, options: ServeOptions, log: Callable[[str], None] = print) -> None:
    """Serves a model over HTTP until SIGINT or SIGTERM.

    Args:
      model: an exported model or a run folder.
      options: address, access, batches and limits.
      log: receives the progress of the start, and the address.

    Raises:
      SetupError: a package is not installed.
      UsageError: an option is invalid, the address is unavailable, or there is no such model.
    """
    try:
        from tfod_kit.serving import access, app, memory, model_threads, server
    except ImportError as error:
        raise SetupError(
            "A package that serving needs is not installed.",
            found=str(error),
            fix="pip install 'tfod_kit[serve]'",
        ) from error
    access.check(options.token, options.allow_origins)
    _check_memory(options.limits)
    bound = server.listen(options.host, options.port)
    log(f"Loading {model}")
    calls = model_threads.limit(model_threads.choose(model, options.model_threads))
    from tfod_kit import detectors

    detector = detectors.load(model, label_map=options.label_map, checkpoint=options.checkpoint)
    log(f"Ready after a warm-up of {_warm_up(detector, options.batch_size):.1f} s")
    memory.use_returnable_blocks()
    shared = isinstance(detector, detectors.BatchDetector) and detector.is_shared
    service = app.Service(detector, options, calls=calls if shared else 1)
    log(_memory_line(options.limits))
    host, port = bound.getsockname()[:2]
    if options.token is None and not _is_loopback(host):
        log("Everyone who reaches this address may send images; --token prevents it.")
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    log(f"Serving on {address}")
    header = "" if options.token is None else "-H 'Authorization: Bearer TOKEN' "
    log(f"Try:  curl {header}--data-binary @IMAGE.jpg {address}/detect")
    server.run(
        service.app(),
        bound,
        grace_s=options.limits.timeout_s,
        access_log=options.access_log,
    )
    log("Stopped")


def _check_memory(limits: Limits) -> None:
    """Checks that one request of the largest size fits into the memory.

    Raises:
      UsageError: it does not.
    """
    from tfod_kit.serving import decoding, memory, uploads

    for option, use, part in (
        ("--max_mb", limits.body_bytes * uploads.COPIES, limits.body_memory),
        ("--max_megapixels", limits.pixels * decoding.LEAST_BYTES_PER_PIXEL, limits.image_memory),
    ):
        if use > memory.largest_use(part):
            least = memory.total_for(use) * limits.memory_bytes // part
            raise UsageError(
                "The largest request does not fit into the memory.",
                where=f"--memory, {option}",
                expected=f"{-(-least // _MB):,} MB or more",
                found=f"{limits.memory_bytes // _MB:,} MB",
                fix=f"Raise --memory, or lower {option}.",
            )


def _warm_up(detector: "Detector", batch_size: int) -> float:
    """Detects in blank images, so that the first request does not wait; returns the seconds.

    A whole batch, too: what the model takes for it is then part of the memory at the start.
    """
    import numpy as np

    start = time.perf_counter()
    blank = np.zeros((320, 320, 3), np.uint8)
    for count in {1, batch_size}:
        detector.detect([blank] * count)
    return time.perf_counter() - start


def _memory_line(limits: Limits) -> str:
    requests = f"{limits.memory_bytes // _MB:,} MB for requests"
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return f"Memory: at most {requests}, beside the model"
    model = pages * os.sysconf("SC_PAGE_SIZE")
    total = (model + limits.memory_bytes) // _MB
    return f"Memory: {model // _MB:,} MB with the model, and at most {requests}: {total:,} MB"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
