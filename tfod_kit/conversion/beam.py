"""Runs tasks under Apache Beam, as io.worker_pool does in processes, with the same results.

Tasks are sent to the workers, and results back, as files in a folder that launcher and workers
share: the Beam graph contains only their numbers, however large the data set is.
"""

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from tfod_kit.errors import SetupError, TfodKitError, UsageError, did_you_mean

T = TypeVar("T")
R = TypeVar("R")

# Argument of --runner -> name in Beam.
RUNNERS = {
    "direct": "DirectRunner",
    "prism": "PrismRunner",
    "flink": "FlinkRunner",
    "spark": "SparkRunner",
    "portable": "PortableRunner",
    "dataflow": "DataflowRunner",
}


@dataclass(frozen=True, slots=True)
class Runner:
    """A runner of Beam.

    Attributes:
      name: a key of RUNNERS.
      options: Beam's pipeline options, such as "--direct_num_workers=4".
    """

    name: str
    options: tuple[str, ...] = ()


def run(
    work: Callable[[T, Callable[[], None]], R], tasks: Sequence[T], runner: Runner, folder: Path
) -> list[R]:
    """Runs the tasks; returns the results in their order. The runner reports progress itself.

    Args:
      work: runs one task, and calls its second argument for each finished unit; importable by name.
      tasks: the tasks; picklable.
      runner: the runner.
      folder: a folder that every worker can write to.

    Raises:
      SetupError: Beam is not installed.
      UsageError: there is no such runner.
      TfodKitError: the error of the first task that failed.
    """
    pipeline = _pipeline(runner)
    import apache_beam as beam

    with TemporaryDirectory(prefix="beam.", dir=folder) as shared:
        for number, task in enumerate(tasks):
            Path(shared, f"{number}.task").write_bytes(pickle.dumps((work, task)))
        numbers = list(range(len(tasks)))
        with pipeline as started:
            _ = (
                started
                | "shards" >> beam.Create(numbers)
                | "spread" >> beam.Reshuffle()
                | "write" >> beam.Map(_run_task, shared)
            )
        return [_result(Path(shared, f"{number}.result")) for number in numbers]


def _pipeline(runner: Runner) -> Any:
    if runner.name not in RUNNERS:
        raise UsageError(
            f"There is no runner {runner.name!r}.",
            where="--runner",
            fix=did_you_mean(runner.name, RUNNERS),
        )
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise SetupError(
            "Apache Beam is not installed.",
            where=f"--runner {runner.name}",
            found=str(error),
            fix="pip install 'tfod_kit[beam]', preferably in an environment of its own: it needs "
            "older releases of protobuf and numpy.",
        ) from error
    flags = [f"--runner={RUNNERS[runner.name]}", *runner.options]
    return beam.Pipeline(options=PipelineOptions(flags))


def _run_task(number: int, shared: str) -> None:
    """Runs a task on a worker. A TfodKitError is returned as a result, as Beam would wrap it."""
    # The launcher wrote the file a moment ago, in a folder of its own.
    work, task = pickle.loads(Path(shared, f"{number}.task").read_bytes())  # noqa: S301
    result: object
    try:
        result = work(task, lambda: None)
    except TfodKitError as error:
        result = error
    path = Path(shared, f"{number}.result")
    # A runner may run a task twice, even concurrently: the last rename wins.
    with TemporaryDirectory(dir=shared) as beside:
        written = Path(beside, "result")
        written.write_bytes(pickle.dumps(result))
        written.replace(path)


def _result(path: Path) -> Any:
    result = pickle.loads(path.read_bytes())  # noqa: S301 as above
    if isinstance(result, TfodKitError):
        raise result
    return result
