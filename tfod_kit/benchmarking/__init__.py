"""Models side by side on this machine: latency, throughput, memory, size and mAP.

Each is measured in a process of its own (`child.py`), so that none warms up, slows down or fills
the memory of another; one after the other, so that they do not share the cores.
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
from tfod_kit.drawing import plots
from tfod_kit.io import files, hardware

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESULTS = "benchmark.json"
LATENCY, THROUGHPUT = "latency.png", "throughput.png"
CHILD = "tfod_kit.benchmarking.child"
MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True)
class Settings:
    """What every model is measured on.

    Attributes:
      records: labelled pictures: for mAP, and to detect on. Noise is detected on without.
      width, height: of the noise, px.
      batch_sizes: how many pictures are handed over at once, for throughput.
      calls: timed calls with one picture, for latency.
      seconds: how long each batch size is timed, at least one call.
      limit: the most pictures of the records that are used; None for all.
      label_map: class names, where a model brings none.
      checkpoint: of run folders: latest, best, a step, or a prefix.
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
class Row:
    """What one model gave; `error` alone where it could not be measured.

    Attributes:
      model: the path as it was given.
      runtime: what runs it, of engine.detector.RUNTIMES.
      load_seconds: until it could detect, the first detection included.
      latency_ms: p50, p90 and p99 of a call with one picture, resizing and names included.
      throughput: pictures a second, by batch size.
      memory_bytes: the most memory that the process held (resident).
      size_bytes: the model's files.
      map, map50: COCO's, at IoU 0.50:0.95 and at 0.50; None without records.
      pictures: how many mAP was measured on.
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
    pictures: int = 0
    error: str = ""


def measure(model: Path, settings: Settings) -> Row:
    """Measures one model in a process of its own; a failure is the row's error."""
    request = json.dumps({"model": str(model), "settings": asdict(settings)})
    done = subprocess.run(
        [sys.executable, "-m", CHILD], input=request, capture_output=True, text=True
    )
    if done.returncode != 0:
        return Row(str(model), error=_last_words(done.returncode, done.stderr))
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Row)


def _last_words(code: int, errors: str) -> str:
    if code < 0:
        return f"its process was killed (signal {-code}): too little memory?"
    lines = errors.strip().splitlines()
    return lines[-1] if lines else f"its process ended with {code}"


def table(rows: Sequence[Row]) -> str:
    """The figures as text, a line a model."""
    batches = sorted({size for row in rows for size in row.throughput})
    head = ["MODEL", "RUNTIME", "p50 ms", "p90", "p99"]
    head += [f"img/s @{size}" for size in batches]
    head += ["MEMORY", "SIZE", "mAP", "mAP50"]
    lines = [head, *([*_cells(row, batches)] for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(head))]
    texts = [
        "  ".join(
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([*texts, *(f"{row.model}: {row.error}" for row in rows if row.error)])


def _cells(row: Row, batches: Iterable[int]) -> Iterable[str]:
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


def save(rows: Sequence[Row], settings: Settings, out: Path) -> None:
    """Writes benchmark.json and, of what could be measured, the two charts."""
    document = {
        "tfod_kit": __version__,
        "machine": _machine(),
        "settings": asdict(settings),
        "models": [asdict(row) for row in rows],
    }
    files.write_text(out / RESULTS, json.dumps(document, indent=2) + "\n")
    measured = [row for row in rows if not row.error]
    if measured:
        for name, figure in ((LATENCY, latency(measured)), (THROUGHPUT, throughput(measured))):
            with files.atomic_file(out / name) as stream:
                stream.write(plots.png(figure))


def load(path: Path) -> list[Row]:
    """The rows of a benchmark.json."""
    document = msgspec.json.decode(path.read_bytes())
    return msgspec.convert(document["models"], list[Row], strict=False)


def latency(rows: Sequence[Row]) -> "Figure":
    """Bars of p50, p90 and p99, a group a model."""
    series = {
        name: {row.model: row.latency_ms[name] for row in rows} for name in ("p50", "p90", "p99")
    }
    return plots.bars(series, title="Latency of one picture", unit="ms, on this machine")


def throughput(rows: Sequence[Row]) -> "Figure":
    """Bars of the pictures a second at each batch size, a group a model."""
    sizes = sorted({size for row in rows for size in row.throughput})
    series = {
        f"{size} at once": {row.model: row.throughput.get(size, 0.0) for row in rows}
        for size in sizes
    }
    return plots.bars(series, title="Throughput", unit="pictures a second, on this machine")


def _machine() -> dict[str, Any]:
    return {
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": hardware.cores(),
        "memory_bytes": hardware.memory(),
        "gpus": len(hardware.gpu_memories()),
        "python": platform.python_version(),
    }
