"""`tfod serve MODEL`: detects objects in pictures that come over HTTP."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit.doors.values import count, share
from tfod_kit.errors import SetupError

if TYPE_CHECKING:
    from tfod_kit.detectors import Detector


def register(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="an exported model, or a run folder")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 lets other machines in")
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one")
    parser.add_argument("--min_score", type=share, default=0.5, help="leave out scores below")
    parser.add_argument("--batch_size", type=count, default=8, help="pictures detected at once")
    parser.add_argument(
        "--window_ms", type=count, default=5, help="how long an idle model waits for a batch"
    )
    parser.add_argument("--label_map", type=Path, help="class names, where the model brings none")
    parser.add_argument("--checkpoint", type=Path, help="a run's checkpoint (default: its newest)")
    parser.add_argument("--access_log", action="store_true", help="log each request")
    limits = parser.add_argument_group("limits; beyond them a request is refused")
    limits.add_argument("--max_mb", type=count, default=20, help="size of a request")
    limits.add_argument("--max_images", type=count, default=16, help="pictures in a request")
    limits.add_argument("--max_megapixels", type=count, default=40, help="of one picture")
    limits.add_argument("--max_requests", type=count, default=64, help="under way at once")
    limits.add_argument(
        "--timeout", type=count, default=30, help="seconds for an upload, and for its detection"
    )


def run(args: argparse.Namespace) -> int:
    try:
        from tfod_kit.serving import app, server
    except ImportError as error:
        raise SetupError(
            "The service lacks a package.",
            found=str(error),
            fix="pip install 'tfod_kit[serve]'",
        ) from error
    from tfod_kit.serving.limits import Limits

    bound = server.listen(args.host, args.port)
    print(f"Loading {args.model}", flush=True)
    from tfod_kit import detectors

    detector = detectors.load(args.model, label_map=args.label_map, checkpoint=args.checkpoint)
    _warm_up(detector)
    limits = Limits(
        body_bytes=args.max_mb * 10**6,
        images=args.max_images,
        pixels=args.max_megapixels * 10**6,
        requests=args.max_requests,
        timeout_s=args.timeout,
    )
    service = app.Service(
        detector,
        limits=limits,
        min_score=args.min_score,
        batch_size=args.batch_size,
        window_s=args.window_ms / 1000,
    )
    host, port = bound.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    print(f"Serving on {address}")
    print(f"Try:  curl --data-binary @PICTURE.jpg {address}/detect", flush=True)
    server.run(service.app(), bound, patience_s=args.timeout, access_log=args.access_log)
    print("Stopped")
    return 0


def _warm_up(detector: "Detector") -> None:
    """Detects once on a blank picture, so that the first client does not wait for the set-up."""
    import numpy as np

    start = time.perf_counter()
    detector.detect([np.zeros((320, 320, 3), np.uint8)])
    print(f"Ready after a first picture of {time.perf_counter() - start:.1f} s", flush=True)
