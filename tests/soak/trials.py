"""What a soak tries again and again at random: a function for each kind of trouble.

A trial returns what it counted. It raises Fault if something broke: a traceback, a hang, an output
that is neither whole nor absent, or a file outside its folder.
"""

import contextlib
import functools
import hashlib
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import mutants
import own_files
from samples import voc
from tfod import ENVIRONMENT

from tfod_kit.errors import TfodKitError

LIMIT_S = 120
INPUT_LIMIT_S = 20
IMAGES = 60
_BATCH = 50  # mutated inputs in one trial

Counts = Counter[str]


class Fault(Exception):
    """Something broke: its kind ("torn", "tracebacks", "hangs" or "escapes") and the details."""

    def __init__(self, kind: str, details: str) -> None:
        super().__init__(f"{kind}: {details}")
        self.kind = kind


@dataclass
class Workplace:
    """What the trials share.

    Attributes:
      folder: an empty folder to work in; each trial leaves it as it was.
      dice: the source of all random choices.
      data: an annotated image folder; `whole` contains the bytes of its conversion.
      fixtures: small data sets in every format.
      own: files of the kit's own, by the name of their reader.
      model: a run folder and, in `export` in it, its TensorFlow Lite model; None until needed.
    """

    folder: Path
    dice: random.Random
    data: Path = field(init=False)
    whole: dict[str, bytes] = field(init=False)
    fixtures: Mapping[str, mutants.Fixture] = field(init=False)
    own: dict[str, Path] = field(init=False)
    model: Path | None = None

    def __post_init__(self) -> None:
        self.data = voc(self.folder / "data", IMAGES)
        out = self.folder / "whole"
        end(start("convert", self.data, "--out", out, "--shards", 4))
        self.whole = content(out)
        (self.folder / "fixtures").mkdir()
        self.fixtures = mutants.copies(self.folder / "fixtures")
        self.own = {}
        for name, reader in own_files.READERS.items():
            folder = self.folder / "own" / name.replace(" ", "_")
            folder.mkdir(parents=True)
            self.own[name] = reader.write(folder)


def killed_conversion(work: Workplace) -> Counts:
    """A conversion is killed at random moments until it ends: the bytes are always the same."""
    counts: Counts = Counter()
    with output(work) as out:
        words = ("convert", work.data, "--out", out, "--shards", 4)
        for _ in range(work.dice.randrange(1, 5)):
            process = start(*words)
            time.sleep(work.dice.uniform(0.05, 0.9))
            counts["kills"] += send(process, signal.SIGKILL)
            end(process, (0, -signal.SIGKILL))
        end(start(*words))
        _compare(out, work.whole)
    return counts


def stopped_conversion(work: Workplace) -> Counts:
    """Ctrl-C at a random moment: nothing half-written, and the next conversion is whole."""
    with output(work) as out:
        words = ("convert", work.data, "--out", out, "--shards", 4)
        process = start(*words)
        time.sleep(work.dice.uniform(0.1, 0.9))
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


def mutated_data_sets(work: Workplace) -> Counts:
    """Data sets with a damaged or hostile file are read, or refused with advice."""
    for _ in range(_BATCH):
        name = work.dice.choice(sorted(work.fixtures))
        fixture = work.fixtures[name]
        path = work.dice.choice(sorted(fixture.originals))
        data = mutants.mutated(fixture.originals[path], work.dice.getrandbits(32), path.name)
        around = listing(fixture.folder.parent)
        try:
            _read(path, data, functools.partial(mutants.to_records, name, fixture.folder, "skip"))
        finally:
            path.write_bytes(fixture.originals[path])
        if listing(fixture.folder.parent) != around:
            raise Fault("escapes", f"{name}: files were written beside {fixture.folder}")
    return Counter(inputs=_BATCH)


def mutated_own_files(work: Workplace) -> Counts:
    """Damaged files of the kit's own are read, or refused with advice."""
    name = work.dice.choice(sorted(own_files.READERS))
    path, reader = work.own[name], own_files.READERS[name]
    original = path.read_bytes()
    count = 0
    try:
        for data in own_files.mutations(original, work.dice.getrandbits(32), _BATCH):
            _read(path, data, lambda: reader.read(path))
            count += 1
    finally:
        path.write_bytes(original)
    return Counter(inputs=count)


TRIALS: dict[str, tuple[Callable[[Workplace], Counts], float]] = {
    "killed conversion": (killed_conversion, 3.0),
    "stopped conversion": (stopped_conversion, 1.0),
    "full disk": (full_disk, 1.0),
    "two conversions": (two_conversions, 1.0),
    "mutated data sets": (mutated_data_sets, 4.0),
    "mutated own files": (mutated_own_files, 4.0),
}
"""Name -> the trial, and how often it is chosen, relative to the others."""


def content(folder: Path) -> dict[str, bytes]:
    """The bytes of the files in a folder, by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def listing(folder: Path) -> str:
    """A digest of the names of all files below a folder."""
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    return hashlib.sha256("\n".join(names).encode(errors="replace")).hexdigest()


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


def _read(path: Path, data: bytes, read: Callable[[], object]) -> None:
    """Reads a mutated file within a time limit."""

    def too_long(number: int, frame: object) -> None:
        raise TimeoutError

    path.write_bytes(data)
    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(INPUT_LIMIT_S)
    try:
        read()
    except TfodKitError:
        pass
    except TimeoutError as error:
        raise Fault("hangs", f"{path} with {data[:2000]!r}: over {INPUT_LIMIT_S} s") from error
    except Exception as error:
        found = f"{type(error).__name__}: {error}"
        raise Fault("tracebacks", f"{path} with {data[:2000]!r}: {found}") from error
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
