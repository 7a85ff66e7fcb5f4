"""`tfod benchmark` and `tfod_kit.benchmark`: models side by side on this machine."""

from dataclasses import dataclass
from pathlib import Path

from tfod_kit import benchmarking
from tfod_kit.doors import arguments, values
from tfod_kit.doors.arguments import StrPath, option, positional
from tfod_kit.drawing import notebook
from tfod_kit.evaluation import record_files
from tfod_kit.io.progress import progress

_DEFAULTS = benchmarking.Settings()


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkArguments:
    """The arguments of `tfod benchmark`; each is explained by its help."""

    models: tuple[Path, ...] = positional(
        "run folders and exported models", parse=Path, nargs="+", metavar="MODEL"
    )
    out: Path = option(Path("work/benchmark"), "the folder for the figures", parse=Path)
    records: str | None = option(
        None,
        "a folder that `tfod convert` wrote, or a pattern of record files: for mAP, and to detect "
        "on (default: noise, and no mAP)",
    )
    split: str = option(record_files.DEFAULT_SPLIT, "the records' split")
    limit: int | None = option(
        None, "measure mAP on the first N images", parse=values.count, metavar="N"
    )
    batch_sizes: tuple[int, ...] = option(
        _DEFAULTS.batch_sizes,
        "images per call, for throughput",
        parse=values.counts,
        metavar="N,...",
    )
    calls: int = option(_DEFAULTS.calls, "timed calls, for latency", parse=values.count)
    size: tuple[int, int] = option(
        (_DEFAULTS.width, _DEFAULTS.height),
        "of the noise, without --records",
        parse=values.width_and_height,
        metavar="WxH",
        join="x",
    )
    label_map: Path | None = option(None, "class names, for models without a label map", parse=Path)
    checkpoint: str | None = option(None, "of run folders: latest, best, a step, or a prefix")


@dataclass(frozen=True, slots=True)
class Benchmarked:
    """The measurements of models, side by side.

    Attributes:
      rows: one per model, in the order given.
      path: the folder with the figures and the charts.
    """

    rows: tuple[benchmarking.Row, ...]
    path: Path

    @property
    def ok(self) -> bool:
        """Whether every model could be measured."""
        return not any(row.error for row in self.rows)

    def __str__(self) -> str:
        images = self.rows[0].pictures
        measured_on = f"{images} images" if images else "noise, so without mAP"
        lines = [
            benchmarking.table(self.rows),
            f"\nMeasured on {measured_on}, one model after the other, each in its own process.",
            f"Figures: {self.path / benchmarking.RESULTS}",
        ]
        if not all(row.error for row in self.rows):
            charts = (benchmarking.LATENCY, benchmarking.THROUGHPUT)
            lines.append(f"Charts:  {', '.join(str(self.path / chart) for chart in charts)}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        charts = [
            notebook.image((self.path / name).read_bytes(), name)
            for name in (benchmarking.LATENCY, benchmarking.THROUGHPUT)
            if (self.path / name).is_file()
        ]
        return notebook.page([notebook.text(str(self)), *charts])


def benchmark(*models: StrPath, **options: object) -> Benchmarked:
    """Measures models side by side: latency, throughput, memory, size and mAP.

    Args:
      models: run folders and exported models.
      options: those of `tfod benchmark`, such as records="work/records".

    Raises:
      UsageError: an option is unknown or invalid.
    """
    return run(arguments.build("benchmark", BenchmarkArguments, {"models": models, **options}))


def run(arguments: BenchmarkArguments) -> Benchmarked:
    """Measures as `tfod benchmark` with these arguments does."""
    records: tuple[str, ...] = ()
    if arguments.records:
        files = record_files.named(arguments.records, arguments.split)
        records = tuple(map(str, files.paths))
    settings = benchmarking.Settings(
        records=records,
        width=arguments.size[0],
        height=arguments.size[1],
        batch_sizes=arguments.batch_sizes,
        calls=arguments.calls,
        limit=arguments.limit,
        label_map=str(arguments.label_map) if arguments.label_map else None,
        checkpoint=arguments.checkpoint,
    )
    rows = []
    with progress("measuring", len(arguments.models), "models") as bar:
        for model in arguments.models:
            rows.append(benchmarking.measure(model, settings))
            bar.advance(1, str(model))
    benchmarking.save(rows, settings, arguments.out)
    return Benchmarked(tuple(rows), arguments.out)
