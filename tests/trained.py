"""One trained model for the whole suite: the README's commands, run once, shared by all workers."""

import fcntl
import json
from pathlib import Path

from tfod import tfod

STEPS = 400
_DONE = "printed.json"


class Trained:
    """What the commands wrote, and what they printed.

    A small SSD at 128 x 128, trained just long enough that its detections mean something: mAP at
    IoU 0.5 is about 0.4 on pictures it never saw. Nobody writes into these folders.

    Attributes:
      data: the demo's pictures; `unseen` in it holds the test split's.
      records, run, export: what convert, train and export wrote. The run has two checkpoints,
        at STEPS and, resumed, at STEPS + 2; the newest is exported.
      printed: by a step's name, such as "train" or "resume".
    """

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.records = folder / "records"
        self.run = folder / "run"
        self.export = folder / "export"
        self.printed: dict[str, str] = {}


def trained(folder: Path) -> Trained:
    """The model in `folder`; who comes first makes it, the others wait."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Trained(folder)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / _DONE).exists():
            _make(made)
            (folder / _DONE).write_text(json.dumps(made.printed))
    made.printed = json.loads((folder / _DONE).read_text())
    return made


def _make(made: Trained) -> None:
    def do(name: str, *arguments: object) -> None:
        made.printed[name] = tfod(*arguments)

    do("demo", "demo", "--out", made.data, "--images", 480)
    do("convert", "convert", made.data, "--out", made.records)
    size = ("--input_size", 128, "--batch_size", 16, "--learning_rate", 0.006)
    do(
        *("configure", "configure", "ssd_cpu", "--records", made.records, "--out", made.run),
        *("--steps", STEPS, *size, "--augment", "horizontal_flip"),
    )
    do("train", "train", made.run)
    do("resume", "train", made.run, "--steps", STEPS + 2)
    do("again", "train", made.run, "--steps", STEPS + 2)
    do("evaluate", "evaluate", made.run, "--split", "test")
    do("export", "export", made.run, "--out", made.export)
