"""Several workers on this machine: starting them, and ending all if one fails."""

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

from tfod_kit import pipeline_config
from tfod_kit.errors import SetupError, UsageError
from tfod_kit.io import hardware
from tfod_kit.io.progress import announce

_LOOK_S = 0.2  # between two looks at the workers
_GRACE_S = 5.0  # in which a worker that fails together with another can print why
_SHOWN_LINES = 15
_HOST = "127.0.0.1"


class WorkerFailed(Exception):
    """The first worker failed and printed why; `code` is its exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


def run_local(workers: int, config_path: Path, command: Sequence[str]) -> None:
    """Starts workers on this machine, waits for them, and ends all when one fails.

    The first one prints; the output of the others goes to RUN/worker-N.log.

    Args:
      workers: how many.
      config_path: the run's pipeline.config.
      command: the words of the command for one worker, without its address.

    Raises:
      DataError: there are too few record files.
      SetupError: a worker ended unexpectedly.
      WorkerFailed: the first worker failed, and printed why.
    """
    from tfod_kit.training.workers import check_shards

    if workers < 2:
        raise UsageError("One worker needs no --local_workers.", fix="Leave it away, or say 2.")
    check_shards(pipeline_config.load(config_path).train_input_reader, workers)
    run = config_path.parent
    addresses = ",".join(f"{_HOST}:{port}" for port in _free_ports(workers))
    announce(f"Starting {workers} workers; the output of the others: {run}/worker-N.log")
    with ExitStack() as stack:
        started: list[subprocess.Popen[bytes]] = []
        stack.callback(_end, started)
        for index in range(workers):
            output = None if index == 0 else stack.enter_context(_log(run, index).open("wb"))
            words = [
                *(sys.executable, "-m", "tfod_kit", *command, "--no_check"),
                *("--workers", addresses, "--worker_index", str(index)),
            ]
            environment = {**os.environ, **_devices(index, workers)}
            started.append(
                # In a session of its own, so that Ctrl-C comes to the workers from here alone.
                subprocess.Popen(
                    words, stdout=output, stderr=output, env=environment, start_new_session=True
                )
            )
        with _signals_passed_on(started):
            _wait(started, run)


def _wait(workers: list[subprocess.Popen[bytes]], run: Path) -> None:
    while True:
        codes = [worker.poll() for worker in workers]
        failed = [index for index, code in enumerate(codes) if code not in (None, 0)]
        if failed:
            break
        if all(code == 0 for code in codes):
            return
        time.sleep(_LOOK_S)
    time.sleep(_GRACE_S)
    code = codes[failed[0]] or 0
    if failed[0] == 0 and code > 0:
        raise WorkerFailed(code)
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
