"""Runs the TF2 unit tests that ship in the installed `object_detection` package, under compat.

Each failure must have a reason in `reasons.py`, and each reason must still occur:

    python tests/upstream/run.py                   all of them: about ten minutes on two cores
    python tests/upstream/run.py utils/ops_test    the files that match

Exit code 0: every failure has a reason and every reason a failure; 1: not so.
"""

import argparse
import faulthandler
import functools
import importlib
import importlib.util
import io
import json
import multiprocessing
import os
import sys
import tempfile
import time
import traceback
import unittest
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import fixtures
import reasons

from tfod_kit import compat

# Not TF2: files named for TF1, the frozen TF1 exporters and trainers, and TF-slim's TF1 networks,
# which the TF2 models do not use.
# model_builder_test holds what its TF1 and TF2 subclasses share, and cannot run by itself.
LEFT_OUT = ("tf1_test.py", "legacy/", "tpu_exporters/", "nets/", "deployment/")
LEFT_OUT += ("builders/model_builder_test.py",)
# Trains on /cpu:0 and /cpu:1, and waits for ever where there is no second one.
TWO_DEVICES = "object_detection.model_lib_tf2_test"
FILE_LIMIT_S = 900


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one test ended: passed, skipped, failed or error, and the last line of its traceback."""

    test: str
    status: str
    message: str = ""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("only", nargs="*", help="parts of file names, such as utils/ops_test")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="write every test's outcome here")
    parser.add_argument("--logs", type=Path, help="keep each file's output and tracebacks here")
    args = parser.parse_args(argv)

    compat.activate()
    files = [name for name in test_files() if not args.only or any(o in name for o in args.only)]
    with tempfile.TemporaryDirectory() as folder:
        data = multiprocessing.get_context("spawn").Process(
            target=fixtures.make, args=[Path(folder)]
        )
        data.start()
        data.join()
        outcomes = run_all(files, args.jobs, args.logs or Path(folder), Path(folder))
    if args.json:
        args.json.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1))
    return judge(outcomes, whole=not args.only)


def package() -> Path:
    """The folder of the installed `object_detection`."""
    found = importlib.util.find_spec("object_detection")
    if found is None or found.origin is None:
        sys.exit("object_detection is not installed: run `make install`.")
    return Path(found.origin).parent


def test_files() -> list[str]:
    """The TF2 test files, as paths inside the package, in order."""
    root = package()
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*_test.py"))
    return [name for name in names if not any(part in name for part in LEFT_OUT)]


def run_all(files: Sequence[str], jobs: int, logs: Path, data: Path) -> list[Outcome]:
    """Runs each file in a process of its own, `jobs` at a time, and reports the outcome of each."""
    logs.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("forkserver")
    # The server is a new interpreter: it finds `preload` by the environment alone.
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    context.set_forkserver_preload(["preload"])
    outcomes: list[Outcome] = []
    started = time.monotonic()
    waiting = list(reversed(files))
    running: list[_Running] = []
    while waiting or running:
        while waiting and len(running) < jobs:
            running.append(_Running(context, waiting.pop(), logs.resolve(), data))
        for one in [one for one in running if one.is_done()]:
            running.remove(one)
            found = one.outcomes()
            outcomes += found
            print(f"{one.seconds:6.1f} s  {one.file}: {_counts(found)}", flush=True)
        time.sleep(0.1)
    print(f"{len(files)} files in {time.monotonic() - started:.0f} s")
    return outcomes


class _Running:
    """One test file in its own process, with a time limit."""

    def __init__(
        self,
        context: multiprocessing.context.ForkServerContext,
        file: str,
        logs: Path,
        data: Path,
    ) -> None:
        self.file = file
        self.seconds = 0.0
        self._result = logs / (file.replace("/", ".") + ".json")
        self._log = self._result.with_suffix(".log")
        self._result.unlink(missing_ok=True)
        self._start = time.monotonic()
        self._process = context.Process(target=run_file, args=(file, self._result, self._log, data))
        self._process.start()

    def is_done(self) -> bool:
        self.seconds = time.monotonic() - self._start
        if self._process.is_alive() and self.seconds < FILE_LIMIT_S:
            return False
        self._process.kill()
        self._process.join()
        return True

    def outcomes(self) -> list[Outcome]:
        if self._result.exists():
            return [Outcome(**row) for row in json.loads(self._result.read_text())]
        log = self._log.read_text(errors="replace") if self._log.exists() else ""
        lines = log.splitlines() or ["no output"]
        how = f"ended by itself with {self._process.exitcode} after {self.seconds:.0f} s"
        return [Outcome(_module_name(self.file), "error", f"{how}: {lines[-1]}")]


def run_file(file: str, result: Path, log: Path, data: Path) -> None:
    """Runs one file's tests in this process and writes their outcomes."""
    os.chdir(data)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    faulthandler.dump_traceback_later(FILE_LIMIT_S - 5)  # shows where a test hangs
    name = _module_name(file)
    try:
        outcomes = _run_module(_prepared(name))
    except unittest.SkipTest as skip:
        outcomes = [Outcome(name, "skipped", str(skip))]
    except Exception as error:
        traceback.print_exc()
        outcomes = [Outcome(name, "error", _summary(error))]
    result.write_text(json.dumps([asdict(outcome) for outcome in outcomes]))


def _module_name(file: str) -> str:
    return "object_detection." + file.removesuffix(".py").replace("/", ".")


def _prepared(name: str) -> ModuleType:
    """Imports a test module, and mends what the tests themselves (not the API) lost to time."""
    import PIL.Image
    from absl import flags

    from tfod_kit.compat import patches

    compat.activate()
    fixtures.serve(Path("object_detection").resolve(), package())
    if name == TWO_DEVICES:
        fixtures.split_cpu()
    for old, new in (("assertEquals", "assertEqual"), ("assertItemsEqual", "assertCountEqual")):
        if not hasattr(unittest.TestCase, old):
            setattr(unittest.TestCase, old, getattr(unittest.TestCase, new))
    PIL.Image.fromarray = functools.partial(_from_array, PIL.Image.fromarray)
    module = importlib.import_module(name)
    if hasattr(module, "np"):
        patches.numpy_apply(module)
    if not flags.FLAGS.is_parsed():
        flags.FLAGS([name])
    return module


def _from_array(real: Callable[..., Any], image: Any, mode: str | None = None) -> Any:
    """`PIL.Image.fromarray`, which took the tests' random floats for RGB bytes up to Pillow 11."""
    return real(image.astype("uint8") if mode == "RGB" else image)


def _run_module(module: ModuleType) -> list[Outcome]:
    suite = unittest.defaultTestLoader.loadTestsFromModule(module)
    result = unittest.TextTestRunner(stream=io.StringIO(), resultclass=_Result).run(suite)
    return list(result.outcomes)


class _Result(unittest.TextTestResult):
    """Notes each test's outcome; a test with failing sub-tests fails once."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._by_test: dict[str, Outcome] = {}

    @property
    def outcomes(self) -> Iterator[Outcome]:
        return iter(self._by_test.values())

    def _note(self, test: unittest.TestCase, status: str, message: str = "") -> None:
        name = test.id()
        if self._by_test.get(name, Outcome(name, "passed")).status == "passed":
            self._by_test[name] = Outcome(name, status, message)

    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        self._note(test, "passed")

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        self._note(test, "skipped", reason)

    def addFailure(self, test, err) -> None:  # type: ignore[no-untyped-def]
        super().addFailure(test, err)
        traceback.print_exception(*err)
        self._note(test, "failed", _summary(err[1]))

    def addError(self, test, err) -> None:  # type: ignore[no-untyped-def]
        super().addError(test, err)
        traceback.print_exception(*err)
        self._note(test, "error", _summary(err[1]))

    def addSubTest(self, test, subtest, err) -> None:  # type: ignore[no-untyped-def]
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._note(test, "failed", _summary(err[1]))


_TRACEBACK_FIRST = ("in user code:", "Graph execution error:", "Exception encountered")


def _summary(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    line = lines[0]
    if line.startswith(_TRACEBACK_FIRST):
        # The error message is after TensorFlow's traceback, and before notes on the graph.
        plain = [line for line in lines if line and not line.startswith((" ", "\t", "Detected at"))]
        line = next((line for line in plain[1:] if not line.startswith("Node:")), lines[-1]).strip()
    return f"{type(error).__name__}: {line}"[:300]


def _counts(outcomes: Sequence[Outcome]) -> str:
    counts = Counter(outcome.status for outcome in outcomes)
    return ", ".join(
        f"{counts[status]} {status}"
        for status in ("passed", "failed", "error", "skipped")
        if counts[status]
    )


def judge(outcomes: Sequence[Outcome], whole: bool) -> int:
    """Prints each failure with its reason and the totals; 1 where the two do not match up."""
    failures = [outcome for outcome in outcomes if outcome.status in ("failed", "error")]
    used: Counter[reasons.Reason] = Counter()
    unexplained = []
    for outcome in failures:
        reason = reasons.find(outcome.test, outcome.message)
        if reason is None:
            unexplained.append(outcome)
        else:
            used[reason] += 1
        print(f"\n{outcome.status}  {outcome.test}\n  {outcome.message}")
        print(f"  reason: {reason.text if reason else 'NONE: patch it, or explain it'}")
    idle = [reason for reason in reasons.REASONS if whole and not used[reason]]
    print(f"\n{_counts(outcomes)}; {len(failures) - len(unexplained)} failures explained")
    for reason in idle:
        print(f"no longer occurs, remove it: {reason.test} ({reason.text})")
    for outcome in unexplained:
        print(f"without a reason: {outcome.test}: {outcome.message}")
    return 1 if idle or unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
