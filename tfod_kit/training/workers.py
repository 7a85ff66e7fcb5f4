"""Training in several processes, on one machine or several: the workers, and their agreement.

TensorFlow's MultiWorkerMirroredStrategy keeps the weights equal on all workers. Decisions that one
worker makes by itself (because of a signal, the clock or a measurement) must be shared: if one
worker left the loop a step before the others, they would wait forever.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tfod_kit.engine import runtime
from tfod_kit.engine.upstream import InputReader, Strategy, Tensor
from tfod_kit.errors import ConfigError, DataError, UsageError
from tfod_kit.pipeline_config import is_remote, record_files, record_patterns

TF_CONFIG = "TF_CONFIG"


@dataclass(frozen=True, slots=True)
class Cluster:
    """The workers of a training, and which of them this process is.

    Attributes:
      workers: their addresses, "host:port".
      index: the index of this process; worker 0 leads: it saves, measures and reports.
    """

    workers: tuple[str, ...]
    index: int

    def __post_init__(self) -> None:
        wrong = [address for address in self.workers if not _is_address(address)]
        if len(set(self.workers)) < len(self.workers) or len(self.workers) < 2 or wrong:
            raise UsageError(
                "The list of workers is invalid.",
                expected="two or more different addresses, HOST:PORT,HOST:PORT",
                found=", ".join(self.workers) or "no workers",
                fix="Give every worker the same --workers, and each its own --worker_index.",
            )
        if not 0 <= self.index < len(self.workers):
            raise UsageError(
                "There is no worker with this index.",
                expected=f"--worker_index from 0 to {len(self.workers) - 1}",
                found=str(self.index),
                fix="The index is the position of a worker in --workers, counted from 0.",
            )

    @property
    def leads(self) -> bool:
        """Whether this process saves, measures and reports."""
        return self.index == 0

    def join(self) -> None:
        """Configures TensorFlow for the cluster; call it before TensorFlow's first use."""
        task = {"type": "worker", "index": self.index}
        os.environ[TF_CONFIG] = json.dumps(
            {"cluster": {"worker": list(self.workers)}, "task": task}
        )


def from_environment(environment: Mapping[str, str] = os.environ) -> Cluster | None:
    """The cluster in TF_CONFIG, which Kubeflow and Vertex AI set; None for a single process.

    Raises:
      UsageError: it is invalid, or names parameter servers.
    """
    text = environment.get(TF_CONFIG, "")
    if not text.strip():
        return None
    try:
        document = json.loads(text)
        tasks = document.get("cluster", {})
        first = [*tasks.get("chief", []), *tasks.get("master", [])]
        workers = [*first, *tasks.get("worker", [])]
        task = document.get("task", {})
        position = int(task.get("index", 0))
        index = position + (len(first) if task.get("type") == "worker" else 0)
    except (ValueError, TypeError, AttributeError) as error:
        raise _unsupported(text) from error
    if tasks.get("ps") or task.get("type") not in (None, "chief", "master", "worker"):
        raise _unsupported(text)
    return Cluster(tuple(workers), index) if len(workers) > 1 else None


def check_shards(reader: InputReader, workers: int) -> None:
    """Checks that there is a record file for each worker: upstream distributes records by file.

    Files in remote storage are not counted, because TensorFlow lists them.

    Args:
      reader: the config's train_input_reader.
      workers: the number of workers.

    Raises:
      DataError: there are fewer files than workers; TensorFlow would fail with "End of sequence" in
        one worker, and with "Socket closed" in the others.
    """
    files = record_files(reader)
    remote = any(map(is_remote, record_patterns(reader)))
    if remote or len(files) >= workers:
        return
    raise DataError(
        "There are fewer record files than workers, so some would have nothing to read.",
        where=", ".join(map(str, files)),
        expected=f"{workers} files or more to train on",
        found=f"{len(files)}",
        fix=f"Convert the data set with --shards {workers} (or a multiple of it).",
    )


def check_batch(batch_size: int, strategy: Strategy, where: Path) -> None:
    """Checks that a batch can be distributed evenly.

    Raises:
      ConfigError: it cannot be.
    """
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise ConfigError(
            f"A batch cannot be distributed evenly to {replicas} devices.",
            where=where,
            expected=f"train_config.batch_size: a multiple of {replicas}, for all devices together",
            found=str(batch_size),
            fix=f"`tfod configure --batch_size {max(1, round(batch_size / replicas)) * replicas}`.",
        )


class Agreement:
    """Shares decisions, so that all workers act on them at the same step.

    Args:
      strategy: the tf.distribute strategy.
      several: whether there are several workers; a single one has nothing to share.
    """

    def __init__(self, strategy: Strategy, *, several: bool) -> None:
        self._strategy = strategy
        self._several = several
        tf = runtime.start()
        self._sum = tf.function(self._summed)

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """For each flag, whether it is set in any worker. All workers must call this together."""
        if not self._several:
            return flags
        tf = runtime.start()
        return tuple(bool(total) for total in self._sum(tf.constant(flags, tf.int32)).numpy())

    def _summed(self, flags: Tensor) -> Tensor:
        tf = runtime.start()
        each = self._strategy.run(lambda mine: mine, args=(flags,))
        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, each, axis=None)


def _is_address(text: str) -> bool:
    host, colon, port = text.rpartition(":")
    return bool(host and colon and port.isdecimal() and 0 < int(port) < 65536)


def _unsupported(text: str) -> UsageError:
    return UsageError(
        f"{TF_CONFIG} in the environment names no cluster that tfod can train on.",
        expected='{"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": "worker", '
        '"index": N}}, perhaps with a "chief"; parameter servers are not supported',
        found=text[:200],
        fix=f"Unset {TF_CONFIG} to train in one process, or name the workers with --workers.",
    )
