"""Models side by side on this machine: latency, throughput, memory, size and mAP.

Each model is measured in its own process (`child.py`), so that none warms up, slows down or fills
the memory of another, and one after the other, so that they do not share the cores.
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from tfod_kit import __version__
from tfod_kit.benchmarking import page
from tfod_kit.benchmarking.artefacts import models as with_exports
from tfod_kit.benchmarking.charts import CHARTS
from tfod_kit.benchmarking.choice import COSTS, Choice, choice, front
from tfod_kit.benchmarking.figures import MEBIBYTE, BenchmarkOptions, ModelBenchmark
from tfod_kit.drawing import notebook, plots
from tfod_kit.errors import UsageError
from tfod_kit.io import files, hardware
from tfod_kit.io.progress import progress

__all__ = [
    "CHARTS",
    "PAGE",
    "RESULTS",
    "Benchmark",
    "BenchmarkOptions",
    "Choice",
    "ModelBenchmark",
    "benchmark",
    "choice",
    "front",
    "load",
    "measure",
    "save",
    "table",
    "with_exports",
]

RESULTS, PAGE = "benchmark.json", page.FILE
CHILD = "tfod_kit.benchmarking.child"
_FIELDS = {"pictures": "images"}  # keys of benchmark.json that differ from the fields here


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Models measured on the same images; prints as a table.

    Attributes:
      models: the figures of each model and number of cores, in the order given.
      document: the JSON file that holds them; `load` reads it.
      choice: the recommended model; None if none could be measured.
    """

    models: tuple[ModelBenchmark, ...]
    document: Path
    choice: Choice | None = None

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
        lines.append(f"Page:    {self.document.with_name(PAGE)}")
        if self.choice is not None:
            lines.append(f"\n{self.choice}")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        paths = [self.document.with_name(name) for name in CHARTS]
        charts = [notebook.image(path.read_bytes(), path.name) for path in paths if path.is_file()]
        return notebook.page([notebook.text(str(self)), *charts])


def benchmark(models: Sequence[Path], options: BenchmarkOptions, out: Path) -> Benchmark:
    """Measures models one after the other; writes benchmark.json, a page and charts to `out`.

    A model that cannot be measured does not stop the others: its row holds the error.

    Raises:
      UsageError: this machine has fewer cores, or cannot limit them.
    """
    _check_threads(options.threads)
    rows: list[ModelBenchmark] = []
    with progress("measuring", len(models), "models") as bar:
        for model in models:
            rows.extend(_with_each_number_of_cores(model, options))
            bar.advance(1, str(model))
    save(rows, options, out)
    return Benchmark(tuple(rows), out / RESULTS, choice(rows, options.map_loss))


def _check_threads(threads: Sequence[int]) -> None:
    if not threads:
        return
    if not hasattr(os, "sched_setaffinity"):
        raise UsageError(
            "On this system a process cannot be limited to some of the cores.",
            where="--threads",
            expected="Linux",
            fix="Omit --threads: each model then uses all cores.",
        )
    if max(threads) > hardware.cores():
        raise UsageError(
            "This machine has fewer cores.",
            where="--threads",
            expected=f"1 to {hardware.cores()}",
            found=max(threads),
            fix="Name numbers of cores up to that.",
        )


def _with_each_number_of_cores(model: Path, options: BenchmarkOptions) -> Iterator[ModelBenchmark]:
    """The rows of one model. mAP is measured once: it does not depend on the cores."""
    first, *others = options.threads or (hardware.cores(),)
    row = measure(model, options, first)
    yield row
    for threads in others if not row.error else ():
        again = measure(model, options, threads, accuracy=False)
        yield replace(again, map=row.map, map50=row.map50, images=row.images)


def measure(
    model: Path, options: BenchmarkOptions, threads: int | None = None, *, accuracy: bool = True
) -> ModelBenchmark:
    """Measures one model in its own process; a failure is the `error` of what is returned.

    Args:
      model: its path.
      options: what it is measured on, and how.
      threads: the number of cores that it may use; None = all.
      accuracy: whether to measure mAP, if there are records.
    """
    request = {
        "model": str(model),
        "options": asdict(options),
        "threads": threads or hardware.cores(),
        "accuracy": accuracy,
    }
    done = subprocess.run(
        [sys.executable, "-m", CHILD], input=json.dumps(request), capture_output=True, text=True
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
    head = ["MODEL", "RUNTIME", "CORES", "p50 ms", "p90", "p99"]
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
    yield str(row.threads or "-")
    for name in ("p50", "p90", "p99"):
        yield f"{row.latency_ms[name]:.1f}" if name in row.latency_ms else "-"
    for size in batches:
        yield f"{row.throughput[size]:.1f}" if size in row.throughput else "-"
    yield f"{row.memory_bytes / MEBIBYTE:,.0f} MiB" if row.memory_bytes else "-"
    yield f"{row.size_bytes / MEBIBYTE:,.1f} MiB" if row.size_bytes else "-"
    yield "-" if row.map is None else f"{row.map:.3f}"
    yield "-" if row.map50 is None else f"{row.map50:.3f}"


def save(rows: Sequence[ModelBenchmark], options: BenchmarkOptions, out: Path) -> None:
    """Writes benchmark.json, benchmark.html and, if any model could be measured, the charts."""
    chosen = choice(rows, options.map_loss)
    machine = _machine()
    document = {
        "tfod_kit": __version__,
        "machine": machine,
        "settings": asdict(options),
        "models": [_to_json(row) for row in rows],
        "fronts": {name: list(map(_reference, front(rows, cost))) for name, cost in COSTS.items()},
        "take": _reference(chosen.row) | {"why": chosen.why} if chosen else None,
    }
    files.write_text(out / RESULTS, json.dumps(document, indent=2) + "\n")
    measured = [row for row in rows if not row.error]
    for name, draw in CHARTS.items():
        figure = draw(measured) if measured else None
        if figure is None:
            (out / name).unlink(missing_ok=True)  # of an earlier benchmark
            continue
        files.write_bytes(out / name, plots.png(figure))
    files.write_text(out / PAGE, page.html(rows, chosen, options, machine))


def _reference(row: ModelBenchmark) -> dict[str, Any]:
    return {"model": row.model, "threads": row.threads}


def load(path: Path) -> list[ModelBenchmark]:
    """The rows of a benchmark.json."""
    document = msgspec.json.decode(path.read_bytes())
    rows = [{_FIELDS.get(name, name): row[name] for name in row} for row in document["models"]]
    return msgspec.convert(rows, list[ModelBenchmark], strict=False)


def _to_json(row: ModelBenchmark) -> dict[str, Any]:
    keys = {field: key for key, field in _FIELDS.items()}
    return {keys.get(name, name): value for name, value in asdict(row).items()}


def _machine() -> dict[str, Any]:
    return {
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": hardware.cores(),
        "memory_bytes": hardware.memory(),
        "gpus": len(hardware.gpu_memories()),
        "python": platform.python_version(),
    }
