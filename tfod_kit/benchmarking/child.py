"""Measures one model: the process that `benchmark.measure` starts.

Reads {"model": ..., "settings": {...}} from standard input; the last line that it prints is the Row
as JSON.
"""

import itertools
import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tfod_kit.benchmarking import Row, Settings
from tfod_kit.errors import TfodKitError
from tfod_kit.runs import checkpoints

if TYPE_CHECKING:
    from tfod_kit.detectors import Detector

_KIBIBYTE = 1024
_WARM_UP = 3
_MOST_PICTURES = 32  # held decoded, to detect on


def measure(model: Path, settings: Settings) -> Row:
    """The figures of one model.

    Raises:
      TfodKitError: it cannot be loaded, or the records cannot be used.
    """
    from tfod_kit import detectors

    pictures = _pictures(settings)
    started = time.perf_counter()
    runtime, found = detectors.runtime_of(model)
    detector = detectors.load(
        model,
        label_map=Path(settings.label_map) if settings.label_map else None,
        checkpoint=settings.checkpoint,
    )
    detector.detect(pictures[:1])
    loaded = time.perf_counter() - started
    latency = _latency(detector, pictures, settings.calls)
    throughput = {
        size: _throughput(detector, pictures, size, settings.seconds)
        for size in settings.batch_sizes
    }
    # Taken before mAP, whose tables are no part of the model.
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIBIBYTE
    return Row(
        str(model),
        runtime,
        loaded,
        latency,
        throughput,
        memory,
        _size(detector.source, found),
        **_accuracy(detector, settings),
    )


def _pictures(settings: Settings) -> list[Any]:
    """uint8 [height, width, 3] each: the first of the records, else noise."""
    import numpy as np

    if settings.records:
        some = itertools.islice(_examples(settings, None), _MOST_PICTURES)
        return [np.asarray(each.image) for each in some]
    dice = np.random.default_rng(0)
    shape = (settings.height, settings.width, 3)
    return [dice.integers(0, 256, shape, dtype=np.uint8) for _ in range(8)]


def _latency(detector: "Detector", pictures: list[Any], calls: int) -> dict[str, float]:
    import numpy as np

    turns = itertools.cycle(pictures)
    for _ in range(_WARM_UP):
        detector.detect([next(turns)])
    times = []
    for _ in range(calls):
        picture = next(turns)
        started = time.perf_counter()
        detector.detect([picture])
        times.append(time.perf_counter() - started)
    p50, p90, p99 = np.percentile(times, (50, 90, 99)) * 1000
    return {"p50": float(p50), "p90": float(p90), "p99": float(p99)}


def _throughput(detector: "Detector", pictures: list[Any], size: int, seconds: float) -> float:
    """Pictures a second, `size` at a time."""
    turns = itertools.cycle(pictures)
    detector.detect(list(itertools.islice(turns, size)))
    done, started = 0, time.perf_counter()
    while done == 0 or time.perf_counter() - started < seconds:
        detector.detect(list(itertools.islice(turns, size)))
        done += size
    return done / (time.perf_counter() - started)


def _accuracy(detector: "Detector", settings: Settings) -> dict[str, Any]:
    if not settings.records or detector.label_map is None:
        return {}
    from tfod_kit import evaluation
    from tfod_kit.evaluation.coco import METRICS

    examples = itertools.islice(_examples(settings, detector.label_map), settings.limit)
    found = evaluation.evaluate(detector, examples, detector.label_map)
    return {
        "map": found.metrics[METRICS[0]],
        "map50": found.metrics[METRICS[1]],
        "pictures": found.images,
    }


def _examples(settings: Settings, label_map: Any) -> Iterator[Any]:
    from tfod_kit.evaluation.examples import read_examples

    return read_examples(map(Path, settings.records), label_map)


def _size(source: Path, found: Path) -> int:
    """Bytes of the model's own files: a checkpoint's, a folder's, or the one file."""
    if source.is_file():
        return source.stat().st_size
    if source.is_dir():
        return sum(path.stat().st_size for path in source.rglob("*") if path.is_file())
    parts = checkpoints.parts(source) or [found]
    return sum(path.stat().st_size for path in parts)


def main() -> int:
    request = json.load(sys.stdin)
    settings = msgspec.convert(request["settings"], Settings)
    try:
        row = measure(Path(request["model"]), settings)
    except TfodKitError as error:
        row = Row(request["model"], error=str(error))
    print()
    print(msgspec.json.encode(row).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
