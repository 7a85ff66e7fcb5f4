"""The options of `tfod train` for several workers, and starting them on one machine."""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from tfod_kit import pipeline_config
from tfod_kit.cli.shared import count
from tfod_kit.errors import SetupError, UsageError
from tfod_kit.io import hardware

if TYPE_CHECKING:
    from tfod_kit.training.workers import Cluster

_LOOK_S = 0.2  # between two looks at the workers
_GRACE_S = 5.0  # for a worker that fails with another, to say why
_SHOWN_LINES = 15
_HOST = "127.0.0.1"


def register(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    group = parser.add_argument_group(
        "several workers",
        "on machines that see the same run folder and records; a cluster in TF_CONFIG (Kubeflow, "
        "Vertex AI) is found by itself",
    )
    group.add_argument(
        "--workers", metavar="HOST:PORT,...", help="the address of each, the same for all"
    )
    group.add_argument(
        "--worker_index", type=int, metavar="N", help="this one's place in --workers, from 0"
    )
    group.add_argument(
        "--local_workers", type=count, metavar="N", help="start so many on this machine"
    )


def cluster(args: argparse.Namespace) -> "Cluster | None":
    """The workers that the options or the environment name; None where this one trains alone.

    Raises:
      UsageError: the options contradict each other, or make no cluster.
    """
    from tfod_kit.training.workers import Cluster, from_environment

    if args.workers is None and args.worker_index is not None:
        raise UsageError("--worker_index needs --workers.", fix="Name the address of each worker.")
    if args.tpu and (args.workers or args.local_workers):
        raise UsageError("A TPU and a list of workers exclude each other.", fix="Leave one away.")
    if args.workers is None:
        return from_environment()
    if args.worker_index is None:
        raise UsageError(
            "Which of the workers this one is, is not said.",
            fix="Add --worker_index N: its place in --workers, from 0.",
        )
    addresses = tuple(part.strip() for part in args.workers.split(",") if part.strip())
    return Cluster(addresses, args.worker_index)


def run_local(workers: int, config_path: Path, arguments: Sequence[str]) -> int:
    """Starts workers on this machine, waits for them, and ends all when one fails.

    The first one prints; what the others print goes to RUN/worker-N.log.

    Args:
      workers: how many.
      config_path: the run's pipeline.config.
      arguments: of `tfod`, with --local_workers among them.

    Raises:
      DataError: there are too few record files.
      SetupError: a worker ended by itself.
    """
    from tfod_kit.training.workers import check_shards

    if workers < 2:
        raise UsageError("One worker needs no --local_workers.", fix="Leave it away, or say 2.")
    check_shards(pipeline_config.load(config_path).train_input_reader, workers)
    run = config_path.parent
    addresses = ",".join(f"{_HOST}:{port}" for port in _free_ports(workers))
    kept = _without(arguments, "--local_workers")
    print(f"Starting {workers} workers; what the others say: {run}/worker-N.log", flush=True)
    with ExitStack() as stack:
        started: list[subprocess.Popen[bytes]] = []
        stack.callback(_end, started)
        for index in range(workers):
            output = None if index == 0 else stack.enter_context(_log(run, index).open("wb"))
            command = [
                *(sys.executable, "-m", "tfod_kit", *kept, "--no_check"),
                *("--workers", addresses, "--worker_index", str(index)),
            ]
            environment = {**os.environ, **_devices(index, workers)}
            started.append(
                # In a session of its own, so that Ctrl-C comes to the workers from here alone.
                subprocess.Popen(
                    command, stdout=output, stderr=output, env=environment, start_new_session=True
                )
            )
        with _signals_passed_on(started):
            return _wait(started, run)


def _wait(workers: list[subprocess.Popen[bytes]], run: Path) -> int:
    while True:
        codes = [worker.poll() for worker in workers]
        failed = [index for index, code in enumerate(codes) if code not in (None, 0)]
        if failed:
            break
        if all(code == 0 for code in codes):
            return 0
        time.sleep(_LOOK_S)
    time.sleep(_GRACE_S)
    code = codes[failed[0]] or 0
    if failed[0] == 0 and code > 0:
        return code  # it has said why itself
    raise _lost(failed[0], code, run)


def _lost(index: int, code: int, run: Path) -> SetupError:
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    log = _log(run, index)
    lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
    return SetupError(
        f"Worker {index} is gone; the others were ended, since they would wait for it for ever.",
        where=log if index else None,
        found="\n".join([how, *(f"    {line}" for line in lines[-_SHOWN_LINES:])]),
        fix="Run the same command again: training resumes from the last checkpoint.",
    )


def _end(workers: Sequence[subprocess.Popen[bytes]]) -> None:
    for worker in workers:
        if worker.poll() is None:
            # Stuck in an exchange with one that is gone, it would not hear a gentler signal.
            worker.kill()
    for worker in workers:
        worker.wait()


@contextmanager
def _signals_passed_on(workers: Sequence[subprocess.Popen[bytes]]) -> Iterator[None]:
    def pass_on(number: int, frame: FrameType | None) -> None:
        for worker in workers:
            if worker.poll() is None:
                worker.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _log(run: Path, index: int) -> Path:
    return run / f"worker-{index}.log"


def _devices(index: int, workers: int) -> dict[str, str]:
    """Which GPUs a worker sees: an even share each, where there are enough."""
    share = len(hardware.gpu_memories()) // workers
    if not share:
        return {}
    mine = range(index * share, (index + 1) * share)
    return {"CUDA_VISIBLE_DEVICES": ",".join(map(str, mine))}


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        taken = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in taken:
            each.bind((_HOST, 0))
        return [each.getsockname()[1] for each in taken]


def _without(arguments: Sequence[str], option: str) -> list[str]:
    """The arguments without an option and its value."""
    kept, skip = [], False
    for argument in arguments:
        if skip:
            skip = False
        elif argument == option:
            skip = True
        elif not argument.startswith(f"{option}="):
            kept.append(argument)
    return kept
