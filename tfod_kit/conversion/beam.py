"""Runs tasks under Apache Beam, as `pool` does in processes: the same work, so the same bytes.

Tasks go to the workers as files in a folder that launcher and workers share, and come back the
same way: a Beam graph holds only their numbers, however large the data set is.
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

# What --runner says -> Beam's own name.
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
    """One of Beam's runners.

    Attributes:
      name: a key of RUNNERS.
      options: Beam's pipeline options, such as "--direct_num_workers=4".
    """

    name: str
    options: tuple[str, ...] = ()


def run(
    work: Callable[[T, Callable[[], None]], R], tasks: Sequence[T], runner: Runner, folder: Path
) -> list[R]:
    """The results, in the order of the tasks. Beam reports progress in its runner's own way.

    Args:
      work: does one task, and calls its second argument for each unit done; importable by name.
      tasks: what to do; picklable.
      runner: who does it.
      folder: a folder that every worker can write to.

    Raises:
      SetupError: Beam is not installed.
      UsageError: there is no such runner.
      TfodKitError: whatever the first failing task raised.
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
                | "write" >> beam.Map(_do, shared)
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
            fix="pip install 'tfod_kit[beam]', best in an environment of its own: it brings older "
            "releases of protobuf and numpy.",
        ) from error
    flags = [f"--runner={RUNNERS[runner.name]}", *runner.options]
    return beam.Pipeline(options=PipelineOptions(flags))


def _do(number: int, shared: str) -> None:
    """Does a task on a worker. A user's mistake goes back as a result: Beam would wrap it."""
    # The file is the launcher's own, written a moment ago in its own folder.
    work, task = pickle.loads(Path(shared, f"{number}.task").read_bytes())  # noqa: S301
    result: object
    try:
        result = work(task, lambda: None)
    except TfodKitError as error:
        result = error
    path = Path(shared, f"{number}.result")
    # A runner may do a task twice, even at once: each writes all, and the last rename counts.
    with TemporaryDirectory(dir=shared) as beside:
        written = Path(beside, "result")
        written.write_bytes(pickle.dumps(result))
        written.replace(path)


def _result(path: Path) -> Any:
    result = pickle.loads(path.read_bytes())  # noqa: S301 as above
    if isinstance(result, TfodKitError):
        raise result
    return result
