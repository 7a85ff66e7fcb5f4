"""The options of a benchmark, and the figures of a model."""

from collections.abc import Mapping
from dataclasses import dataclass, field

MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True)
class BenchmarkOptions:
    """What every model is measured on, and how.

    Attributes:
      records: files of labelled images to measure mAP on and detect in; empty = detect in noise.
      width, height: of the noise, in px.
      batch_sizes: images per call, for throughput.
      calls: timed calls with one image, for latency.
      seconds: how long each batch size is timed, with at least one call.
      limit: number of images to measure mAP on; None = all.
      label_map: the class names of models that have no label map of their own.
      checkpoint: of run folders: "latest", "best", a step or a prefix; None = the latest.
      threads: numbers of cores; each model is measured with each of them. Empty = all cores.
      map_loss: how much mAP a faster or smaller model may lose and still be recommended.
    """

    records: tuple[str, ...] = ()
    width: int = 640
    height: int = 480
    batch_sizes: tuple[int, ...] = (1, 4, 16)
    calls: int = 50
    seconds: float = 3.0
    limit: int | None = None
    label_map: str | None = None
    checkpoint: str | None = None
    threads: tuple[int, ...] = ()
    map_loss: float = 0.01


@dataclass(frozen=True, slots=True)
class ModelBenchmark:
    """The figures of one model; only `error` if it could not be measured.

    Attributes:
      model: the path as given.
      runtime: of `detectors.RUNTIMES`.
      load_seconds: from the start of loading to the end of the first detection.
      latency_ms: p50, p90 and p99 of a call with one image, including resizing and class names.
      throughput: images per second, by batch size.
      memory_bytes: peak resident memory of the process.
      size_bytes: of the model's files.
      map, map50: COCO's mAP at IoU 0.50:0.95 and at 0.50; None without records.
      images: number of images that mAP was measured on.
      error: why there are no figures.
      threads: the number of cores that it could use; 0 in files of earlier versions.
    """

    model: str
    runtime: str = ""
    load_seconds: float = 0.0
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    throughput: Mapping[int, float] = field(default_factory=dict)
    memory_bytes: int = 0
    size_bytes: int = 0
    map: float | None = None
    map50: float | None = None
    images: int = 0
    error: str = ""
    threads: int = 0
