"""What a soak tries again and again at random: a function for each kind of trouble.

A trial returns what it counted. It raises Fault if something broke: a traceback, a hang, an output
that is neither whole nor absent, or a file outside its folder.
"""

import contextlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import scenes
from PIL import Image
from samples import voc
from tfod import ENVIRONMENT

from soak.faults import Counts, Fault
from soak.inputs import Inputs

LIMIT_S = 600  # generous: the machine may be busy with other work
IMAGES = 60
INPUTS = "mutated inputs"
_AT_ONCE = ("convert", "inspect")  # their folders appear at once
OF_READER = "inputs of "  # counted for each reader


@dataclass
class Workplace:
    """What the trials share.

    Attributes:
      folder: an empty folder to work in; each trial leaves it as it was.
      dice: the source of all random choices.
      data: an annotated image folder; `whole` contains the bytes of its conversion.
      inputs: small data sets in every format, and files of the kit's own, to be damaged.
      seconds: how long an undisturbed conversion took last, so that kills hit every moment of it.
      model: a run folder and, in `export` in it, its TensorFlow Lite model; None until needed.
    """

    folder: Path
    dice: random.Random
    data: Path = field(init=False)
    whole: dict[str, bytes] = field(init=False)
    inputs: Inputs = field(init=False)
    seconds: float = 1.0
    model: Path | None = None

    def __post_init__(self) -> None:
        self.data = voc(self.folder / "data", IMAGES)
        out = self.folder / "whole"
        self.time(start("convert", self.data, "--out", out, "--shards", 4))
        self.whole = content(out)
        self.inputs = Inputs(self.folder)

    def time(self, process: "subprocess.Popen[str]") -> None:
        """Waits for an undisturbed conversion that was just started, and remembers its time."""
        started = time.monotonic()
        end(process)
        self.seconds = time.monotonic() - started

    def moment(self) -> float:
        """A random time in seconds at which a conversion is still running, most likely."""
        return self.dice.uniform(0.05, 1.0) * self.seconds


def killed_conversion(work: Workplace) -> Counts:
    """A conversion is killed at random moments until it ends: the bytes are always the same."""
    counts: Counts = Counter()
    with output(work) as out:
        words = ("convert", work.data, "--out", out, "--shards", 4)
        for _ in range(work.dice.randrange(1, 5)):
            process = start(*words)
            time.sleep(work.moment())
            counts["kills"] += send(process, signal.SIGKILL)
            end(process, (0, -signal.SIGKILL))
        work.time(start(*words))
        _compare(out, work.whole)
    return counts


def killed_command(work: Workplace) -> Counts:
    """Another command is killed: its output is whole or absent, and it can be run again."""
    counts: Counts = Counter()
    truth, found = scenes.write(work.folder)
    commands: dict[str, tuple[object, ...]] = {
        "convert": ("convert", work.data, "--to", "yolo"),
        "inspect": ("inspect", work.data),
        "configure": ("configure", "ssd_cpu", "--records", work.folder / "whole"),
        "evaluate": ("evaluate", "--ground_truth", truth, "--detections", found),
    }
    name = work.dice.choice(sorted(commands))
    with output(work) as out:
        words = (*commands[name], "--out", out)
        started = time.monotonic()
        end(start(*words))
        seconds = time.monotonic() - started
        whole = _sizes(out)
        shutil.rmtree(out)
        for _ in range(work.dice.randrange(2, 6)):
            process = start(*words)
            time.sleep(work.dice.uniform(0.05, 1.0) * seconds)
            counts["kills"] += send(process, signal.SIGKILL)
            end(process, (0, -signal.SIGKILL))
            left = _sizes(out)
            torn = [path for path in left if not whole.get(path) or _is_torn(out / path)]
            torn = [path for path in torn if whole.get(path) != left[path]]
            if torn or (left and name in _AT_ONCE and left.keys() != whole.keys()):
                raise Fault("torn", f"{name} was killed and left {sorted(left)}; torn: {torn}")
        end(start(*words))
        if _sizes(out).keys() != whole.keys():
            raise Fault("torn", f"{name} wrote {_sizes(out)} after a kill, not {whole}")
    return counts


def _sizes(folder: Path) -> dict[str, int]:
    """The size of each file below a folder, without locks and what is not renamed yet."""
    paths = (each for each in folder.rglob("*") if each.is_file())
    hidden = (".tmp", ".lock")
    return {
        str(path.relative_to(folder)): path.stat().st_size
        for path in paths
        if not (path.name.startswith(".") and path.name.endswith(hidden))
    }


def _is_torn(path: Path) -> bool:
    """Whether a file is not complete, as far as its format shows it."""
    if path.suffix == ".json":
        try:
            json.loads(path.read_bytes())
        except ValueError:
            return True
    if path.suffix == ".html":
        return not path.read_text("utf-8").rstrip().endswith("</html>")
    if path.suffix in (".jpg", ".png"):
        with Image.open(path) as image:
            image.load()
    return not path.stat().st_size


def stopped_conversion(work: Workplace) -> Counts:
    """Ctrl-C at a random moment: nothing half-written, and the next conversion is whole."""
    with output(work) as out:
        words = ("convert", work.data, "--out", out, "--shards", 4)
        process = start(*words)
        time.sleep(0.1 + work.moment())
        stopped = send(process, signal.SIGINT)
        try:
            printed = end(process, (0, 130, -signal.SIGINT))
        except Fault as fault:
            if "/tfod_kit/" in str(fault).partition("Traceback")[2]:
                raise
            printed = ""  # Python itself was not started yet
        if out.exists():
            _compare(out, work.whole)
        elif process.returncode == 130 and printed and printed.count("stopped") != 1:
            raise Fault("tracebacks", f"Ctrl-C does not end in one line: {printed}")
        end(start(*words))
        _compare(out, work.whole)
    return Counter(stops=stopped)


def full_disk(work: Workplace) -> Counts:
    """No file may grow beyond a random size, as on a full disk."""
    with output(work) as out:
        words = ("convert", work.data, "--out", out, "--shards", 4)
        limit = work.dice.randrange(1, max(map(len, work.whole.values())))
        printed = end(start(*words, limit=limit), (0, 2))
        if out.exists():
            _compare(out, work.whole)
        elif "tfod: " not in printed:
            raise Fault("tracebacks", f"a full disk is not explained: {printed}")
        end(start(*words))
        _compare(out, work.whole)
    return Counter({"full disks": 1})


def two_conversions(work: Workplace) -> Counts:
    """Two conversions into one folder: one may be refused, and the output is whole."""
    with output(work) as out:
        words = ("convert", work.data, "--out", out, "--shards", 4)
        pair = []
        for _ in range(2):
            pair.append(start(*words))
            time.sleep(work.dice.uniform(0, 0.5))
        codes = []
        for process in pair:
            end(process, (0, 2))
            codes.append(process.returncode)
        if 0 not in codes:
            raise Fault("torn", "two conversions at once: both were refused")
        _compare(out, work.whole)
    return Counter({"pairs at once": 1})


def mutated_inputs(work: Workplace) -> Counts:
    """Damaged and hostile files are read, or refused with advice."""
    name = work.dice.choice(work.inputs.names())
    count = work.inputs.batch(name, work.dice.getrandbits(32))
    return Counter({"inputs": count, OF_READER + name: count})


TRIALS: dict[str, tuple[Callable[[Workplace], Counts], float]] = {
    "killed conversion": (killed_conversion, 3.0),
    "stopped conversion": (stopped_conversion, 0.6),
    "full disk": (full_disk, 0.6),
    "two conversions": (two_conversions, 0.6),
    "killed command": (killed_command, 1.5),
    INPUTS: (mutated_inputs, 40.0),
}
"""Name -> the trial, and how often it is chosen, relative to the others."""


def content(folder: Path) -> dict[str, bytes]:
    """The bytes of the files in a folder, by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def _compare(out: Path, whole: dict[str, bytes]) -> None:
    found = content(out)
    if found != whole:
        names = [name for name in found.keys() | whole if found.get(name) != whole.get(name)]
        raise Fault("torn", f"{out}: {', '.join(sorted(names))} differ")


@contextlib.contextmanager
def output(work: Workplace) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=work.folder) as folder:
        yield Path(folder, "out")
        left = [path.name for path in Path(folder).iterdir() if path.name != "out"]
        if left:
            raise Fault("torn", f"left behind: {', '.join(left)}")


def start(*words: object, limit: int | None = None) -> "subprocess.Popen[str]":
    """A command in a process group of its own; `limit`: the most bytes of a file."""

    def restrict() -> None:
        if limit is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.Popen(
        [sys.executable, "-m", "tfod_kit", *map(str, words)],
        # Python would leave truncated bytecode behind, and fail at each later start.
        env=ENVIRONMENT | ({} if limit is None else {"PYTHONDONTWRITEBYTECODE": "1"}),
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=restrict,
    )


def send(process: "subprocess.Popen[str]", number: signal.Signals) -> int:
    """Sends a signal to the group; returns whether the process was still running."""
    if process.poll() is not None:
        return 0
    os.killpg(process.pid, number)
    return 1


def end(
    process: "subprocess.Popen[str]", codes: tuple[int, ...] = (0,), limit_s: float = LIMIT_S
) -> str:
    """Waits for a command, which must end with one of these codes; returns what it printed."""
    try:
        printed, _ = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise Fault("hangs", f"{process.args}: over {limit_s} s") from error
    if "Traceback" in printed or process.returncode not in codes:
        raise Fault("tracebacks", f"{process.args}: {process.returncode}: {printed[-3000:]}")
    return printed
