"""Damaged and hostile files, read in batches, each in a process of its own.

A batch runs in a forked process, without TensorFlow, so that an input that takes all memory, never
ends or brings down the interpreter is a fault, and ends nothing else.
"""

import importlib
import os
import pickle
import random
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import mutants
import own_files

from soak.faults import Fault, listing
from tfod_kit.errors import TfodKitError

INPUT_LIMIT_S = 20  # of processor time
_BATCH = 1000  # inputs
_BATCH_S = 0.5  # of processor time, after which a batch ends early: readers share it equally
_PROCESS_LIMIT_S = 900  # of any time
_MEMORY = 4 * 2**30  # bytes of addresses
_SHOWN = 2000

Read = Callable[[], object]
Outcome = tuple[int, tuple[str, str] | None, frozenset[str]]  # inputs, a fault, imported modules


class Inputs:
    """Small data sets in every format, and files of the kit's own.

    Args:
      folder: where to put them if the system has no folder in memory.
    """

    def __init__(self, folder: Path) -> None:
        memory = Path("/dev/shm")
        place = memory if os.access(memory, os.W_OK) else folder
        self._holder = tempfile.TemporaryDirectory(dir=place, prefix="soak-")
        self._folder = Path(self._holder.name)
        (self._folder / "fixtures").mkdir()
        self._fixtures: Mapping[str, mutants.Fixture] = mutants.copies(self._folder / "fixtures")
        self._own: dict[str, Path] = {}
        for name, reader in own_files.READERS.items():
            folder = self._folder / "own" / name.replace(" ", "_")
            folder.mkdir(parents=True)
            self._own[name] = reader.write(folder)

    def close(self) -> None:
        """Removes the files."""
        self._holder.cleanup()

    def names(self) -> list[str]:
        """What can be damaged."""
        return sorted(self._fixtures) + sorted(self._own)

    def batch(self, name: str, seed: int) -> int:
        """Damages one data set or file in many ways; returns in how many.

        Raises:
          Fault: a reader raised an error without advice, did not end, or wrote somewhere else.
        """
        if name in self._fixtures:
            fixture = self._fixtures[name]
            around = listing(fixture.folder.parent)
            count = _in_a_process(lambda: self._data_sets(name, seed))
            if listing(fixture.folder.parent) != around:
                details = f"{name}, seed {seed}: files were written beside {fixture.folder}"
                raise Fault("escapes", details)
            return count
        around = listing(self._folder / "fixtures")
        count = _in_a_process(lambda: self._own_files(name, seed))
        if listing(self._folder / "fixtures") != around:
            raise Fault("escapes", f"{name}, seed {seed}: files were written outside its folder")
        return count

    def _data_sets(self, name: str, seed: int) -> Iterator[tuple[Path, bytes, Read]]:
        dice = random.Random(seed)
        fixture = self._fixtures[name]
        for _ in range(_BATCH):
            path = dice.choice(sorted(fixture.originals))
            data = mutants.mutated(fixture.originals[path], dice.getrandbits(32), path.name)
            yield path, data, lambda: mutants.to_records(name, fixture.folder, "skip")

    def _own_files(self, name: str, seed: int) -> Iterator[tuple[Path, bytes, Read]]:
        path, reader = self._own[name], own_files.READERS[name]
        for data in own_files.mutations(path.read_bytes(), seed, _BATCH):
            yield path, data, lambda: reader.read(path)


def _in_a_process(inputs: Callable[[], Iterator[tuple[Path, bytes, Read]]]) -> int:
    """Reads each input in a forked process; returns how many were read.

    Raises:
      Fault: as `Inputs.batch`.
    """
    end, start = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(end)
        with os.fdopen(start, "wb") as stream:
            pickle.dump(_outcome(inputs), stream)
        os._exit(0)
    os.close(start)
    with os.fdopen(end, "rb") as stream:
        ready, _, _ = select.select([stream], [], [], _PROCESS_LIMIT_S)
        if not ready:
            os.kill(process, signal.SIGKILL)
        received = stream.read()
    _, status = os.waitpid(process, 0)
    if not ready:
        raise Fault("hangs", f"over {_PROCESS_LIMIT_S} s")
    if not received:
        raise Fault("tracebacks", f"a reader brought down its process: status {status}")
    count, fault, modules = pickle.loads(received)
    if fault is not None:
        raise Fault(*fault)
    for module in sorted(modules - sys.modules.keys()):  # so that the next process has them
        importlib.import_module(module)
    return int(count)


def _outcome(inputs: Callable[[], Iterator[tuple[Path, bytes, Read]]]) -> Outcome:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    count = 0
    originals: dict[Path, bytes] = {}
    started = time.process_time()
    before = sys.modules.keys() | set()
    try:
        for path, data, read in inputs():
            originals.setdefault(path, path.read_bytes())
            path.write_bytes(data)
            _read(path, data, read)
            path.write_bytes(originals[path])
            count += 1
            if time.process_time() - started > _BATCH_S:
                break
    except Fault as fault:
        return count, (fault.kind, fault.details), frozenset()
    finally:
        for path, data in originals.items():
            path.write_bytes(data)
    own = {name for name in sys.modules.keys() - before if name.startswith("tfod_kit")}
    return count, None, frozenset(own)


class _TooLong(BaseException):
    """No reader handles it, as it would an Exception."""


def _read(path: Path, data: bytes, read: Read) -> None:
    """Reads a mutated file within a time limit."""

    def too_long(number: int, frame: object) -> None:
        raise _TooLong

    signal.signal(signal.SIGPROF, too_long)
    signal.setitimer(signal.ITIMER_PROF, INPUT_LIMIT_S)
    shown = f"{path} with {data[:_SHOWN]!r}"
    try:
        read()
    except TfodKitError:
        pass
    except _TooLong as error:
        raise Fault("hangs", f"{shown}: over {INPUT_LIMIT_S} s") from error
    except (Exception, SystemExit) as error:
        lines = traceback.format_exception(error)
        raise Fault("tracebacks", f"{shown}: {''.join(lines)[-_SHOWN:]}") from error
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
