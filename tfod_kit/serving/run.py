"""`tfod serve` as a function: loads a model, warms it up and serves until it is stopped."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit.errors import SetupError
from tfod_kit.serving.limits import Limits

if TYPE_CHECKING:
    from tfod_kit.detectors import Detector


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """The options of `tfod serve`.

    Attributes:
      host: the address to listen on; "0.0.0.0" accepts connections from other machines.
      port: the port; 0 = a free one.
      min_score: the lowest score that is returned, unless a request states another; in [0, 1].
      batch_size: the maximum number of images in a batch.
      window_s: how long an idle model waits for a batch to fill, in seconds.
      label_map: the class names of a model that has no label map of its own.
      checkpoint: a run's checkpoint; None = the latest.
      access_log: whether to log each request.
      limits: beyond them a request is refused.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    min_score: float = 0.5
    batch_size: int = 8
    window_s: float = 0.005
    label_map: Path | None = None
    checkpoint: Path | str | None = None
    access_log: bool = False
    limits: Limits = field(default_factory=Limits)


def serve(model: Path, options: ServeOptions, log: Callable[[str], None] = print) -> None:
    """Serves a model over HTTP until SIGINT or SIGTERM.

    Args:
      model: an exported model or a run folder.
      options: address, batches and limits.
      log: receives the progress of the start, and the address.

    Raises:
      SetupError: a package is not installed.
      UsageError: the address is unavailable, or there is no such model.
    """
    try:
        from tfod_kit.serving import app, server
    except ImportError as error:
        raise SetupError(
            "A package that serving needs is not installed.",
            found=str(error),
            fix="pip install 'tfod_kit[serve]'",
        ) from error
    bound = server.listen(options.host, options.port)
    log(f"Loading {model}")
    from tfod_kit import detectors

    detector = detectors.load(model, label_map=options.label_map, checkpoint=options.checkpoint)
    log(f"Ready after a warm-up of {_warm_up(detector):.1f} s")
    service = app.Service(
        detector,
        limits=options.limits,
        min_score=options.min_score,
        batch_size=options.batch_size,
        window_s=options.window_s,
    )
    host, port = bound.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    log(f"Serving on {address}")
    log(f"Try:  curl --data-binary @IMAGE.jpg {address}/detect")
    server.run(
        service.app(),
        bound,
        grace_s=options.limits.timeout_s,
        access_log=options.access_log,
    )
    log("Stopped")


def _warm_up(detector: "Detector") -> float:
    """Detects in a blank image, so that the first request does not wait; returns the seconds."""
    import numpy as np

    start = time.perf_counter()
    detector.detect([np.zeros((320, 320, 3), np.uint8)])
    return time.perf_counter() - start
