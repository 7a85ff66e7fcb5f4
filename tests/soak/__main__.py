"""`make soak`: troubles at random, for some minutes or hours; prints figures, and each fault."""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from soak import trials
from soak.model_trials import MODEL_TRIALS
from soak.trials import Fault, Workplace

TRIALS = trials.TRIALS | MODEL_TRIALS
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


def soak(seconds: float, names: Sequence[str], seed: int) -> Soak:
    """Runs trials of these names until the time is over, each of them at least once."""
    result = Soak(seed)
    started = time.monotonic()
    waiting = list(names)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        work = Workplace(Path(folder), random.Random(seed))
        weights = [TRIALS[name][1] for name in names]
        while waiting or time.monotonic() - started < seconds:
            name = waiting.pop() if waiting else work.dice.choices(names, weights)[0]
            result.counts["trials"] += 1
            try:
                result.counts += TRIALS[name][0](work)
            except Fault as fault:
                result.counts[fault.kind] += 1
                result.faults.append(f"{name}: {fault}")
                print(result.faults[-1], flush=True)
        result.seconds = time.monotonic() - started
    return result


def main() -> int:
    """Returns 1 if there were faults."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", nargs="+", choices=TRIALS, default=list(TRIALS))
    args = parser.parse_args()
    result = soak(60 * args.minutes, args.only, args.seed)
    print(result)
    return int(bool(result.faults))


if __name__ == "__main__":
    sys.exit(main())
