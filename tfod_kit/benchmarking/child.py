"""Measures one model, in the process that `benchmarking.measure` starts.

Reads {"model": ..., "options": {...}, "threads": ..., "accuracy": ...} from standard input; the
last line of its output is the ModelBenchmark as JSON.
"""

import itertools
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tfod_kit.benchmarking.figures import BenchmarkOptions, ModelBenchmark
from tfod_kit.errors import TfodKitError
from tfod_kit.io import hardware
from tfod_kit.runs import checkpoints

if TYPE_CHECKING:
    from tfod_kit.detectors import Detector

_WARM_UP_CALLS = 3
_MAX_IMAGES = 32  # kept decoded, to detect in
_NOISE_IMAGES = 8


def measure(model: Path, options: BenchmarkOptions, *, accuracy: bool = True) -> ModelBenchmark:
    """The figures of one model.

    Args:
      model: its path.
      options: what it is measured on, and how.
      accuracy: whether to measure mAP, if there are records.

    Raises:
      TfodKitError: it cannot be loaded, or the records cannot be used.
    """
    from tfod_kit import detectors

    images = _images(options)
    started = time.perf_counter()
    runtime, path = detectors.runtime_of(model)
    detector = detectors.load(
        model,
        label_map=Path(options.label_map) if options.label_map else None,
        checkpoint=options.checkpoint,
    )
    detector.detect(images[:1])
    loaded = time.perf_counter() - started
    latency = _latency(detector, images, options.calls)
    throughput = {
        size: _throughput(detector, images, size, options.seconds) for size in options.batch_sizes
    }
    # Read before measuring mAP, whose tables are not part of the model.
    memory = hardware.peak_memory() or 0
    return ModelBenchmark(
        str(model),
        runtime,
        loaded,
        latency,
        throughput,
        memory,
        _size(detector.source, path),
        **(_accuracy(detector, options) if accuracy else {}),
        threads=hardware.cores(),
    )


def _images(options: BenchmarkOptions) -> list[Any]:
    """uint8 [height, width, 3] each: the first images of the records, else noise."""
    import numpy as np

    if options.records:
        some = itertools.islice(_examples(options, None), _MAX_IMAGES)
        return [np.asarray(each.image) for each in some]
    generator = np.random.default_rng(0)
    shape = (options.height, options.width, 3)
    return [generator.integers(0, 256, shape, dtype=np.uint8) for _ in range(_NOISE_IMAGES)]


def _latency(detector: "Detector", images: list[Any], calls: int) -> dict[str, float]:
    import numpy as np

    cycle = itertools.cycle(images)
    for _ in range(_WARM_UP_CALLS):
        detector.detect([next(cycle)])
    times = []
    for _ in range(calls):
        image = next(cycle)
        started = time.perf_counter()
        detector.detect([image])
        times.append(time.perf_counter() - started)
    p50, p90, p99 = np.percentile(times, (50, 90, 99)) * 1000
    return {"p50": float(p50), "p90": float(p90), "p99": float(p99)}


def _throughput(detector: "Detector", images: list[Any], size: int, seconds: float) -> float:
    """Images per second, with `size` images per call."""
    cycle = itertools.cycle(images)
    detector.detect(list(itertools.islice(cycle, size)))
    done, started = 0, time.perf_counter()
    while done == 0 or time.perf_counter() - started < seconds:
        detector.detect(list(itertools.islice(cycle, size)))
        done += size
    return done / (time.perf_counter() - started)


def _accuracy(detector: "Detector", options: BenchmarkOptions) -> dict[str, Any]:
    if not options.records or detector.label_map is None:
        return {}
    from tfod_kit import evaluation
    from tfod_kit.evaluation.metrics import BOXES

    examples = itertools.islice(_examples(options, detector.label_map), options.limit)
    measured = evaluation.evaluate(detector, examples, detector.label_map)
    return {
        "map": measured.metrics[BOXES.names[0]],
        "map50": measured.metrics[BOXES.names[1]],
        "images": measured.images,
    }


def _examples(options: BenchmarkOptions, label_map: Any) -> Iterator[Any]:
    from tfod_kit.evaluation.examples import read_examples

    return read_examples(map(Path, options.records), label_map)


def _size(source: Path, path: Path) -> int:
    """Bytes of the model's files: those of a checkpoint, of a folder, or the single file."""
    if source.is_file():
        return source.stat().st_size
    if source.is_dir():
        return sum(part.stat().st_size for part in source.rglob("*") if part.is_file())
    parts = checkpoints.parts(source) or [path]
    return sum(part.stat().st_size for part in parts)


def limit_cores(count: int) -> None:
    """Limits this process and its future threads to the first of its cores, where that is possible.

    Every runtime that is loaded afterwards starts as many threads as there are cores left.
    """
    if count < hardware.cores():
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def main() -> int:
    request = json.load(sys.stdin)
    options = msgspec.convert(request["options"], BenchmarkOptions)
    limit_cores(request["threads"])
    try:
        row = measure(Path(request["model"]), options, accuracy=request["accuracy"])
    except TfodKitError as error:
        row = ModelBenchmark(request["model"], error=str(error))
    print()
    print(msgspec.json.encode(row).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
