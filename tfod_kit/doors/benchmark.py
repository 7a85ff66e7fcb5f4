"""`tfod benchmark` and `tfod_kit.benchmark`: models side by side on this machine."""

from dataclasses import dataclass
from pathlib import Path

from tfod_kit import benchmarking
from tfod_kit.doors import arguments, values
from tfod_kit.doors.arguments import StrPath, local_name, local_path, option, positional
from tfod_kit.evaluation import record_files
from tfod_kit.io.progress import announce

_DEFAULTS = benchmarking.BenchmarkOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkArguments:
    """The arguments of `tfod benchmark`; each is explained by its help."""

    models: tuple[Path, ...] = positional(
        "run folders, each with the exports in it, and exported models",
        parse=local_path,
        nargs="+",
        metavar="MODEL",
    )
    out: Path = option(Path("work/benchmark"), "the folder for the figures", parse=local_path)
    records: str | None = option(
        None,
        "a folder that `tfod convert` wrote, or a pattern of record files: for mAP, and to detect "
        "in (default: noise, and no mAP)",
        parse=local_name,
    )
    split: str | None = option(None, "the split of the records (default: val, else test)")
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
    threads: tuple[int, ...] | None = option(
        None,
        "numbers of cores: each model is measured with each of them, on Linux (default: all)",
        parse=values.counts,
        metavar="N,...",
    )
    map_loss: float = option(
        _DEFAULTS.map_loss,
        "how much mAP the recommended model may have less than the best",
        parse=values.not_negative,
        metavar="X",
    )
    label_map: Path | None = option(
        None, "class names, for models without a label map", parse=local_path
    )
    checkpoint: str | None = option(
        None, "of run folders: latest, best, a step, or a prefix", parse=local_name
    )


def benchmark(*models: StrPath, **options: object) -> benchmarking.Benchmark:
    """Measures models side by side: latency, throughput, memory, size and mAP.

    Args:
      models: run folders, each with the exports in it, and exported models.
      options: those of `tfod benchmark`, such as records="work/records".

    Raises:
      UsageError: an option is unknown or invalid.
    """
    return run(arguments.build("benchmark", BenchmarkArguments, {"models": models, **options}))


def run(arguments: BenchmarkArguments) -> benchmarking.Benchmark:
    """Measures as `tfod benchmark` with these arguments does."""
    records: tuple[str, ...] = ()
    if arguments.records:
        files = record_files.named(arguments.records, arguments.split)
        records = tuple(map(str, files.paths))
        if files.note:
            announce(files.note)
    options = benchmarking.BenchmarkOptions(
        records=records,
        width=arguments.size[0],
        height=arguments.size[1],
        batch_sizes=arguments.batch_sizes,
        calls=arguments.calls,
        limit=arguments.limit,
        label_map=str(arguments.label_map) if arguments.label_map else None,
        checkpoint=arguments.checkpoint,
        threads=arguments.threads or (),
        map_loss=arguments.map_loss,
    )
    models = benchmarking.with_exports(arguments.models)
    return benchmarking.benchmark(models, options, arguments.out)
