"""Searches with a training that takes no time: its value is best at a rate of 0.01.

A program, because Optuna is in an environment of its own (arguments: RUN, options as JSON). It
prints the trials as JSON. What the training of a trial does is decided by "do", number -> action.
"""

import dataclasses
import json
import math
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfod_kit import tuning
from tfod_kit.pipeline_config import learning_rate, load
from tfod_kit.tuning.trial import Length, Outcome, Report

OPTIONS = json.loads(sys.argv[2])


def train(
    folder: Path,
    length: Length,
    options: list[str],
    metric: str,
    report: Report,
    stop: Callable[[], bool],
) -> Outcome:
    action = OPTIONS.get("do", {}).get(folder.name.removeprefix("trial-").lstrip("0") or "0")
    if action == "fail":
        return Outcome(error="out of memory")
    if action == "die":
        os._exit(3)
    if action == "interrupt":
        os.kill(os.getpid(), signal.SIGINT)
        while not stop():
            time.sleep(0.01)
        return Outcome(stopped=True)
    rate = learning_rate(load(folder / "pipeline.config"))
    value = 1 - 0.4 * abs(math.log10(rate / 0.01))
    time.sleep(OPTIONS.get("seconds", 0))
    for rung in (2, 4, 6, 8, 10):
        if report(rung, value * rung / 10):
            return Outcome(value * rung / 10, pruned=True)
    return Outcome(value)


def main() -> None:
    tuning.train = train  # type: ignore[assignment]
    search = tuning.SearchOptions(
        OPTIONS["trials"], OPTIONS.get("sampler", "tpe"), OPTIONS.get("pruner", "median"), seed=1
    )
    options = tuning.TuneOptions(search, tuning.Length(OPTIONS.get("steps", 50)), ("rate", "ema"))
    lines: list[str] = []
    tuned = tuning.tune(Path(sys.argv[1]) / "pipeline.config", options, lines.append)
    rows: list[dict[str, Any]] = [dataclasses.asdict(one) for one in tuned.trials]
    best = tuned.best.number if tuned.best else None
    print(json.dumps({"trials": rows, "best": best, "printed": str(tuned), "lines": lines}))


if __name__ == "__main__":
    main()
