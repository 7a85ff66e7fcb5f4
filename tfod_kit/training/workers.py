"""Training in several processes, on one machine or on many: who takes part, and how they agree.

TensorFlow's MultiWorkerMirroredStrategy keeps the weights equal on all workers. What each worker
decides by itself (a signal, the clock, a measurement) has to be agreed upon, since a worker that
leaves the loop a step before the others keeps them waiting for ever.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfod_kit.engine import runtime
from tfod_kit.errors import ConfigError, DataError, UsageError
from tfod_kit.pipeline_config import is_remote, record_files, record_patterns

TF_CONFIG = "TF_CONFIG"


@dataclass(frozen=True, slots=True)
class Cluster:
    """The workers of a training, and which of them this process is.

    Attributes:
      workers: the address of each, "host:port".
      index: this one's place among them; the first one leads: it saves, measures and reports.
    """

    workers: tuple[str, ...]
    index: int

    def __post_init__(self) -> None:
        wrong = [address for address in self.workers if not _is_address(address)]
        if len(set(self.workers)) < len(self.workers) or len(self.workers) < 2 or wrong:
            raise UsageError(
                "The list of workers is wrong.",
                expected="two or more different addresses, HOST:PORT,HOST:PORT",
                found=", ".join(self.workers) or "none",
                fix="Give every worker the same --workers, and each its own --worker_index.",
            )
        if not 0 <= self.index < len(self.workers):
            raise UsageError(
                "There is no such worker.",
                expected=f"--worker_index from 0 to {len(self.workers) - 1}",
                found=str(self.index),
                fix="The index is a worker's place in --workers, counted from 0.",
            )

    @property
    def leads(self) -> bool:
        """Whether this process is the one that saves, measures and reports."""
        return self.index == 0

    def join(self) -> None:
        """Tells TensorFlow of the cluster; before its first use in the process."""
        task = {"type": "worker", "index": self.index}
        os.environ[TF_CONFIG] = json.dumps(
            {"cluster": {"worker": list(self.workers)}, "task": task}
        )


def from_environment(environment: Mapping[str, str] = os.environ) -> Cluster | None:
    """The cluster that TF_CONFIG names, as Kubeflow and Vertex AI set it; None for one alone.

    Raises:
      UsageError: it cannot be read, or names parameter servers.
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
        place = int(task.get("index", 0))
        index = place + (len(first) if task.get("type") == "worker" else 0)
    except (ValueError, TypeError, AttributeError) as error:
        raise _not_understood(text) from error
    if tasks.get("ps") or task.get("type") not in (None, "chief", "master", "worker"):
        raise _not_understood(text)
    return Cluster(tuple(workers), index) if len(workers) > 1 else None


def check_shards(reader: Any, workers: int) -> None:
    """Sees that each worker has record files of its own: upstream deals them out by file.

    Files in remote storage are not counted: they are TensorFlow's to list.

    Args:
      reader: the config's train_input_reader.
      workers: how many there are.

    Raises:
      DataError: there are fewer than workers; TensorFlow would end with "End of sequence" in one
        worker, and "Socket closed" in the others.
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


def check_batch(batch_size: int, strategy: Any, where: Path) -> None:
    """Sees that a batch can be dealt out evenly.

    Raises:
      ConfigError: it cannot.
    """
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise ConfigError(
            f"A batch cannot be dealt out evenly to {replicas} devices.",
            where=where,
            expected=f"train_config.batch_size: a multiple of {replicas}, for all devices together",
            found=str(batch_size),
            fix=f"`tfod configure --batch_size {max(1, round(batch_size / replicas)) * replicas}`.",
        )


class Agreement:
    """What any worker wishes, all do: at the same step.

    Args:
      strategy: the strategy; only for several workers is there anything to agree upon.
      several: whether there are several workers.
    """

    def __init__(self, strategy: Any, *, several: bool) -> None:
        self._strategy = strategy
        self._several = several
        tf = runtime.start()
        self._sum = tf.function(self._summed)

    def any(self, *wishes: bool) -> tuple[bool, ...]:
        """For each wish, whether any worker has it. All workers ask at the same point."""
        if not self._several:
            return wishes
        tf = runtime.start()
        return tuple(bool(total) for total in self._sum(tf.constant(wishes, tf.int32)).numpy())

    def _summed(self, wishes: Any) -> Any:
        tf = runtime.start()
        each = self._strategy.run(lambda mine: mine, args=(wishes,))
        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, each, axis=None)


def _is_address(text: str) -> bool:
    host, colon, port = text.rpartition(":")
    return bool(host and colon and port.isdecimal() and 0 < int(port) < 65536)


def _not_understood(text: str) -> UsageError:
    return UsageError(
        f"{TF_CONFIG} in the environment names no cluster that tfod can train on.",
        expected='{"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": "worker", '
        '"index": N}}, perhaps with a "chief"; parameter servers are not for this',
        found=text[:200],
        fix=f"Unset {TF_CONFIG} to train alone, or name the workers with --workers.",
    )
