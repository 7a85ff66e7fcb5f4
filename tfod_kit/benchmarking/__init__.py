"""Models side by side on this machine: latency, throughput, memory, size and mAP.

Each model is measured in its own process (`child.py`), so that none warms up, slows down or fills
the memory of another, and one after the other, so that they do not share the cores.
"""

import json
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tfod_kit import __version__
from tfod_kit.drawing import notebook, plots
from tfod_kit.io import files, hardware
from tfod_kit.io.progress import progress

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESULTS = "benchmark.json"
LATENCY, THROUGHPUT = "latency.png", "throughput.png"
CHILD = "tfod_kit.benchmarking.child"
MEBIBYTE = 2**20
_FIELDS = {"pictures": "images"}  # keys of benchmark.json that differ from the fields here


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


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Models measured on the same images; prints as a table.

    Attributes:
      models: the figures of each model, in the order given.
      document: the JSON file that holds them; `load` reads it.
    """

    models: tuple[ModelBenchmark, ...]
    document: Path

    @property
    def ok(self) -> bool:
        """Whether every model could be measured."""
        return not any(row.error for row in self.models)

    def __str__(self) -> str:
        images = next((row.images for row in self.models if row.images), 0)
        measured_on = f"{images} images" if images else "noise, so without mAP"
        lines = [
            table(self.models),
            f"\nMeasured on {measured_on}, one model after the other, each in its own process.",
            f"Figures: {self.document}",
        ]
        if not all(row.error for row in self.models):
            folder = self.document.parent
            lines.append(f"Charts:  {folder / LATENCY}, {folder / THROUGHPUT}")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        paths = [self.document.with_name(name) for name in (LATENCY, THROUGHPUT)]
        charts = [notebook.image(path.read_bytes(), path.name) for path in paths if path.is_file()]
        return notebook.page([notebook.text(str(self)), *charts])


def benchmark(models: Sequence[Path], options: BenchmarkOptions, out: Path) -> Benchmark:
    """Measures models one after the other; writes benchmark.json and charts to `out`.

    A model that cannot be measured does not stop the others: its row holds the error.
    """
    rows = []
    with progress("measuring", len(models), "models") as bar:
        for model in models:
            rows.append(measure(model, options))
            bar.advance(1, str(model))
    save(rows, options, out)
    return Benchmark(tuple(rows), out / RESULTS)


def measure(model: Path, options: BenchmarkOptions) -> ModelBenchmark:
    """Measures one model in its own process; a failure is the `error` of what is returned."""
    request = json.dumps({"model": str(model), "options": asdict(options)})
    done = subprocess.run(
        [sys.executable, "-m", CHILD], input=request, capture_output=True, text=True
    )
    if done.returncode != 0:
        return ModelBenchmark(str(model), error=_reason(done.returncode, done.stderr))
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=ModelBenchmark)


def _reason(code: int, errors: str) -> str:
    if code < 0:
        return f"its process was killed (signal {-code}): too little memory?"
    lines = errors.strip().splitlines()
    return lines[-1] if lines else f"its process ended with {code}"


def table(rows: Sequence[ModelBenchmark]) -> str:
    """The figures as text, one line for each model."""
    batches = sorted({size for row in rows for size in row.throughput})
    head = ["MODEL", "RUNTIME", "p50 ms", "p90", "p99"]
    head += [f"img/s @{size}" for size in batches]
    head += ["MEMORY", "SIZE", "mAP", "mAP50"]
    lines = [head, *([*_cells(row, batches)] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    texts = [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([*texts, *(f"{row.model}: {row.error}" for row in rows if row.error)])


def _cells(row: ModelBenchmark, batches: Iterable[int]) -> Iterable[str]:
    yield row.model
    yield row.runtime or "failed"
    for name in ("p50", "p90", "p99"):
        yield f"{row.latency_ms[name]:.1f}" if name in row.latency_ms else "-"
    for size in batches:
        yield f"{row.throughput[size]:.1f}" if size in row.throughput else "-"
    yield f"{row.memory_bytes / MEBIBYTE:,.0f} MiB" if row.memory_bytes else "-"
    yield f"{row.size_bytes / MEBIBYTE:,.1f} MiB" if row.size_bytes else "-"
    yield "-" if row.map is None else f"{row.map:.3f}"
    yield "-" if row.map50 is None else f"{row.map50:.3f}"


def save(rows: Sequence[ModelBenchmark], options: BenchmarkOptions, out: Path) -> None:
    """Writes benchmark.json and, if any model could be measured, the two charts."""
    document = {
        "tfod_kit": __version__,
        "machine": _machine(),
        "settings": asdict(options),
        "models": [_to_json(row) for row in rows],
    }
    files.write_text(out / RESULTS, json.dumps(document, indent=2) + "\n")
    measured = [row for row in rows if not row.error]
    if measured:
        for name, figure in ((LATENCY, latency(measured)), (THROUGHPUT, throughput(measured))):
            with files.atomic_file(out / name) as stream:
                stream.write(plots.png(figure))


def load(path: Path) -> list[ModelBenchmark]:
    """The rows of a benchmark.json."""
    document = msgspec.json.decode(path.read_bytes())
    rows = [{_FIELDS.get(name, name): row[name] for name in row} for row in document["models"]]
    return msgspec.convert(rows, list[ModelBenchmark], strict=False)


def _to_json(row: ModelBenchmark) -> dict[str, Any]:
    keys = {field: key for key, field in _FIELDS.items()}
    return {keys.get(name, name): value for name, value in asdict(row).items()}


def latency(rows: Sequence[ModelBenchmark]) -> "Figure":
    """Bars of p50, p90 and p99, grouped by model."""
    series = {
        name: {row.model: row.latency_ms[name] for row in rows} for name in ("p50", "p90", "p99")
    }
    return plots.bars(series, title="Latency of one image", unit="ms, on this machine")


def throughput(rows: Sequence[ModelBenchmark]) -> "Figure":
    """Bars of the images per second at each batch size, grouped by model."""
    sizes = sorted({size for row in rows for size in row.throughput})
    series = {
        f"{size} per call": {row.model: row.throughput.get(size, 0.0) for row in rows}
        for size in sizes
    }
    return plots.bars(series, title="Throughput", unit="images per second, on this machine")


def _machine() -> dict[str, Any]:
    return {
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": hardware.cores(),
        "memory_bytes": hardware.memory(),
        "gpus": len(hardware.gpu_memories()),
        "python": platform.python_version(),
    }
