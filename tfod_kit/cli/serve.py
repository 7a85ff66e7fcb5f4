"""`tfod serve MODEL`: detects objects in images that are sent over HTTP."""

import argparse
import os

from tfod_kit.doors.arguments import local_path
from tfod_kit.doors.values import count, share
from tfod_kit.serving.limits import Limits
from tfod_kit.serving.options import ServeOptions
from tfod_kit.serving.run import serve

VARIABLE = "TFOD_SERVE_TOKEN"

_DEFAULTS = ServeOptions()


def register(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("model", type=local_path, help="an exported model, or a run folder")
    add("--host", default=_DEFAULTS.host, help="0.0.0.0 accepts connections from other machines")
    add("--port", type=int, default=_DEFAULTS.port, help="0 takes a free one")
    add("--min_score", type=share, default=_DEFAULTS.min_score, help="leave out scores below")
    access = parser.add_argument_group("access")
    access.add_argument(
        "--token",
        help="clients must send it as Authorization: Bearer TOKEN (default: the environment "
        f"variable {VARIABLE}, which other users of the machine cannot see)",
    )
    access.add_argument(
        "--allow_origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="an origin whose web pages may use the service, such as https://example.org, or *; "
        "may be repeated",
    )
    add("--batch_size", type=count, default=_DEFAULTS.batch_size, help="images per call")
    add(
        "--model_threads",
        type=count,
        metavar="N",
        help="processor threads of one call of a TensorFlow model (default: 1 for a MobileNet SSD "
        "of up to 320x320, with as many calls at once as there are cores; otherwise all)",
    )
    add("--window_ms", type=count, default=5, help="how long a batch waits for other requests")
    add("--label_map", type=local_path, help="class names, for a model without a label map")
    add("--checkpoint", type=local_path, help="a run's checkpoint (default: its latest)")
    add("--access_log", action="store_true", help="log each request")
    limits = parser.add_argument_group("limits; beyond them a request waits or is refused")
    limits.add_argument(
        "--memory",
        type=count,
        default=_DEFAULTS.limits.memory_bytes // 10**6,
        metavar="MB",
        help="what all requests may take beside the model; they wait until there is room",
    )
    limits.add_argument("--max_mb", type=count, default=20, help="size of a request")
    limits.add_argument("--max_images", type=count, default=16, help="images in a request")
    limits.add_argument("--max_megapixels", type=count, default=40, help="of one image")
    limits.add_argument("--max_requests", type=count, default=64, help="requests in progress")
    limits.add_argument(
        "--timeout", type=count, default=30, help="seconds for an upload, and for its detection"
    )


def run(args: argparse.Namespace) -> int:
    limits = Limits(
        body_bytes=args.max_mb * 10**6,
        images=args.max_images,
        pixels=args.max_megapixels * 10**6,
        requests=args.max_requests,
        memory_bytes=args.memory * 10**6,
        timeout_s=args.timeout,
    )
    options = ServeOptions(
        host=args.host,
        port=args.port,
        min_score=args.min_score,
        batch_size=args.batch_size,
        model_threads=args.model_threads,
        window_s=args.window_ms / 1000,
        label_map=args.label_map,
        checkpoint=args.checkpoint,
        access_log=args.access_log,
        token=os.environ.get(VARIABLE) if args.token is None else args.token,
        allow_origins=tuple(args.allow_origin),
        limits=limits,
    )
    serve(args.model, options, _log)
    return 0


def _log(line: str) -> None:
    print(line, flush=True)
