"""`make soak`: troubles at random, for some minutes or hours; prints figures, and each fault.

Several jobs run trials at once, each in a folder of its own; the trials that need a model run in
one of them.
"""

import argparse
import json
import queue
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from soak import trials
from soak.faults import Fault
from soak.model_trials import MODEL_TRIALS
from soak.trials import INPUTS, OF_READER, Workplace

TRIALS = trials.TRIALS | MODEL_TRIALS
_SHOWN_EVERY_S = 60.0
# Its name, what it counted, and its fault.
Trial = tuple[str, dict[str, int], str | None]
KINDS = ("torn", "tracebacks", "hangs", "escapes")


@dataclass
class Soak:
    """The figures of a soak.

    Attributes:
      seed: of the random choices.
      counts: what was tried, and the faults of each of KINDS.
      faults: each fault in words.
      job: whether to print each trial as a line of JSON, for the process that started this one.
      seconds: how long it took.
    """

    seed: int
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0
    job: bool = False

    def add(self, name: str, counts: Mapping[str, int], fault: str | None = None) -> None:
        """Adds what a trial counted, and its fault."""
        self.counts.update(counts)
        if fault is not None:
            self.faults.append(f"{name}: {fault}")
        if self.job:
            print(json.dumps([name, counts, fault]), flush=True)
        elif fault is not None:
            print(self.faults[-1], flush=True)

    def __str__(self) -> str:
        readers = {name: n for name, n in self.counts.items() if name.startswith(OF_READER)}
        tried = {
            name: count
            for name, count in self.counts.items()
            if name not in KINDS and name not in readers
        }
        rows = sorted(tried.items()) + [(name, self.counts[name]) for name in KINDS]
        lines = [f"{name:<14} {count:>10,}" for name, count in rows]
        if readers:
            least = min(readers, key=readers.__getitem__)
            lines.append(f"{len(readers)} readers, the fewest {least}: {readers[least]:,}")
        return "\n".join([f"{self.seconds:,.0f} s, seed {self.seed}", *lines])

    def reaches(self, goals: Mapping[str, int]) -> bool:
        """Whether each of these counts is that high."""
        return bool(goals) and all(self.counts[name] >= goal for name, goal in goals.items())


@dataclass(frozen=True)
class Plan:
    """What to run.

    Attributes:
      seconds: how long, at most.
      goals: counts at which to end earlier; {} for none.
      names: the trials, of TRIALS; each runs at least once.
      jobs: how many run at once.
    """

    seconds: float
    goals: Mapping[str, int]
    names: Sequence[str]
    jobs: int = 1


def soak(plan: Plan, result: Soak) -> None:
    """Runs trials until the time is over, the goals are reached or Ctrl-C."""
    started = shown = time.monotonic()
    # A process with threads should not be forked, as these trials do.
    names = [name for name in plan.names if plan.jobs == 1 or name != INPUTS]
    waiting = list(names)
    with (
        _other_jobs(plan, result) as received,
        tempfile.TemporaryDirectory(prefix="soak-") as folder,
    ):
        work = Workplace(Path(folder), random.Random(result.seed))
        weights = [TRIALS[name][1] for name in names]
        try:
            while waiting or not (
                time.monotonic() - started > plan.seconds or result.reaches(plan.goals)
            ):
                name = waiting.pop(0) if waiting else work.dice.choices(names, weights)[0]
                _try(name, work, result)
                while not received.empty():
                    result.add(*received.get())
                result.seconds = time.monotonic() - started
                if not result.job and time.monotonic() - shown > _SHOWN_EVERY_S:
                    shown = time.monotonic()
                    print(result, file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            pass
        finally:
            work.inputs.close()


def _try(name: str, work: Workplace, result: Soak) -> None:
    try:
        result.add(name, TRIALS[name][0](work) + Counter(trials=1))
    except Fault as fault:
        result.add(name, {"trials": 1, fault.kind: 1}, str(fault))


@contextmanager
def _other_jobs(
    plan: Plan, result: Soak
) -> "Iterator[queue.SimpleQueue[tuple[str, dict[str, int], str | None]]]":
    """Runs the other jobs during the block; yields what their trials report."""
    received: queue.SimpleQueue[Trial] = queue.SimpleQueue()
    names = [name for name in plan.names if name in trials.TRIALS]
    options = ["--minutes", str(plan.seconds / 60), "--only", *names, "--job"]
    jobs = [
        subprocess.Popen(
            [sys.executable, "-m", "soak", "--seed", str(result.seed + number), *options],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is passed on below, once
        )
        for number in range(1, plan.jobs)
    ]

    def listen(job: "subprocess.Popen[str]") -> None:
        for line in job.stdout or ():
            received.put(json.loads(line))

    listeners = [threading.Thread(target=listen, args=(job,)) for job in jobs]
    for listener in listeners:
        listener.start()
    try:
        yield received
    finally:
        for job in jobs:
            job.send_signal(signal.SIGINT)
        for job, listener in zip(jobs, listeners, strict=True):
            job.wait()
            listener.join()
        while not received.empty():
            result.add(*received.get())


def _goal(text: str) -> tuple[str, int]:
    name, _, count = text.partition("=")
    return name, int(count)


def main() -> int:
    """Returns 1 if there were faults."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--minutes", type=float, default=10.0)
    add("--until", nargs="+", type=_goal, default=[], metavar="COUNT=N", help="end earlier")
    add("--jobs", type=int, default=1, help="how many trials run at once")
    add("--seed", type=int, default=int(time.time()))
    add("--only", nargs="+", choices=TRIALS, default=list(TRIALS), metavar="TRIAL")
    add("--job", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # `nohup ... &` ignores it
    result = Soak(args.seed, job=args.job)
    soak(Plan(60 * args.minutes, dict(args.until), args.only, args.jobs), result)
    if not args.job:
        print(result)
    return int(bool(result.faults))


if __name__ == "__main__":
    sys.exit(main())
