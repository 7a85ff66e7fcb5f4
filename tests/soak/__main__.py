"""`make soak`: troubles at random, for some minutes or hours; prints figures, and each fault."""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from soak import trials
from soak.faults import Fault
from soak.model_trials import MODEL_TRIALS
from soak.trials import Workplace

TRIALS = trials.TRIALS | MODEL_TRIALS
_SHOWN_EVERY_S = 60.0
KINDS = ("torn", "tracebacks", "hangs", "escapes")


@dataclass
class Soak:
    """The figures of a soak.

    Attributes:
      seed: of the random choices.
      counts: what was tried, and the faults of each of KINDS.
      faults: each fault in words.
      seconds: how long it took.
    """

    seed: int
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        tried = {name: count for name, count in self.counts.items() if name not in KINDS}
        rows = sorted(tried.items()) + [(name, self.counts[name]) for name in KINDS]
        lines = [f"{name:<14} {count:>10,}" for name, count in rows]
        return "\n".join([f"{self.seconds:,.0f} s, seed {self.seed}", *lines])

    def reaches(self, goals: Mapping[str, int]) -> bool:
        """Whether each of these counts is that high."""
        return all(self.counts[name] >= goal for name, goal in goals.items())


def soak(seconds: float, goals: Mapping[str, int], names: Sequence[str], seed: int) -> Soak:
    """Runs trials of these names, each of them at least once.

    Args:
      seconds: how long, at most.
      goals: counts at which to end earlier; {} for none.
      names: of TRIALS.
      seed: of the random choices.
    """
    result = Soak(seed)
    started = shown = time.monotonic()
    waiting = list(names)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        work = Workplace(Path(folder), random.Random(seed))
        weights = [TRIALS[name][1] for name in names]
        try:
            while waiting or (
                time.monotonic() - started < seconds and not (goals and result.reaches(goals))
            ):
                name = waiting.pop() if waiting else work.dice.choices(names, weights)[0]
                _try(name, work, result)
                result.seconds = time.monotonic() - started
                if time.monotonic() - shown > _SHOWN_EVERY_S:
                    shown = time.monotonic()
                    print(result, file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            print("Stopped.", file=sys.stderr)
        finally:
            work.inputs.close()
    return result


def _try(name: str, work: Workplace, result: Soak) -> None:
    result.counts["trials"] += 1
    try:
        result.counts += TRIALS[name][0](work)
    except Fault as fault:
        result.counts[fault.kind] += 1
        result.faults.append(f"{name}: {fault}")
        print(result.faults[-1], flush=True)


def _goal(text: str) -> tuple[str, int]:
    name, _, count = text.partition("=")
    return name, int(count)


def main() -> int:
    """Returns 1 if there were faults."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument(
        "--until", nargs="+", type=_goal, default=[], metavar="COUNT=N", help="end earlier"
    )
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", nargs="+", choices=TRIALS, default=list(TRIALS))
    args = parser.parse_args()
    result = soak(60 * args.minutes, dict(args.until), args.only, args.seed)
    print(result)
    return int(bool(result.faults))


if __name__ == "__main__":
    sys.exit(main())
