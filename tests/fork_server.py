"""Forks trainings from a process that has imported everything, and runs them without a graph.

Importing takes five seconds, and building the graph of a training half a minute; what these tests
check (saving, resuming, measuring, being killed) needs neither. The program reads one line of JSON
per training, {"arguments": [...], "log": path, "largest_file": bytes or null}, and answers with its
process id and, at its end, with its exit code.
"""

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

from tfod import ENVIRONMENT


class Training:
    """A running `tfod train`."""

    def __init__(self, pid: int, log: Path, fork_server: "ForkServer") -> None:
        self.pid = pid
        self._log = log
        self._server = fork_server

    @property
    def printed(self) -> str:
        return self._log.read_text()

    def wait_for(self, text: str) -> bool:
        """Waits until it has printed a text; False if it ends without printing it."""
        while text not in self.printed:
            if self._ended():
                return text in self.printed
            time.sleep(0.02)
        return True

    def _ended(self) -> bool:
        try:
            return not Path(f"/proc/{self.pid}/cmdline").read_bytes()  # empty: a zombie
        except OSError:
            return True

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """The exit code; -9 if it was killed."""
        return int(self._server.answer())


class ForkServer:
    """Starts trainings, one at a time; used in a `with` block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def __enter__(self) -> "ForkServer":
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env=ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)

    def start(
        self, *arguments: object, verb: str = "train", largest_file: int | None = None
    ) -> Training:
        """Starts `tfod train ARGUMENTS`; no file can exceed `largest_file` bytes."""
        self._count += 1
        log = self._folder / f"log-{self._count}"
        log.touch()
        request = {
            "arguments": [verb, *map(str, arguments)],
            "log": str(log),
            "largest_file": largest_file,
        }
        assert self._process.stdin is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return Training(int(self.answer()), log, self)

    def train(
        self,
        *arguments: object,
        code: int = 0,
        verb: str = "train",
        largest_file: int | None = None,
    ) -> str:
        """Runs `tfod train ARGUMENTS` to its end; returns what it printed."""
        training = self.start(*arguments, verb=verb, largest_file=largest_file)
        assert training.wait() == code, training.printed
        assert "Traceback" not in training.printed, training.printed
        return training.printed

    def answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def _serve() -> None:
    from tfod_kit.engine import runtime

    tf = runtime.start()
    from object_detection import exporter_lib_v2, inputs, model_lib_v2  # noqa: F401
    from object_detection.builders import model_builder, optimizer_builder  # noqa: F401

    import tfod_kit.training.train  # noqa: F401

    tf.config.run_functions_eagerly(True)
    for line in sys.stdin:
        request = json.loads(line)
        # TensorFlow's threads start with the first operation, which only the child runs.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if not pid:
            _train(request)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _train(request: dict) -> None:
    import resource
    import traceback

    from tensorflow.python.autograph.core import ag_ctx

    from tfod_kit.cli.main import main

    log = os.open(request["log"], os.O_WRONLY)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if request["largest_file"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["largest_file"],) * 2)
    code = 1
    try:
        # Rewriting upstream's functions for AutoGraph would take most of the remaining time.
        with warnings.catch_warnings(), ag_ctx.ControlStatusCtx(ag_ctx.Status.DISABLED, None):
            warnings.simplefilter("ignore")
            code = main(request["arguments"])
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
