"""One trained model for the whole suite: the README's commands, run once, shared by all workers."""

import fcntl
import json
from pathlib import Path

from tfod import tfod

STEPS = 400
_DONE = "printed.json"


class Trained:
    """The output of the commands: folders and printed text.

    A small SSD at 128 x 128, trained just long enough to detect objects: mAP at IoU 0.5 is about
    0.4 on unseen images. Tests must not write into these folders.

    Attributes:
      data: the demo's images; `unseen` in it contains those of the test split.
      records, run, export: written by convert, train and export. The run has two checkpoints, at
        STEPS and, resumed, at STEPS + 2; the newest one is exported.
      printed: the printed text by the name of the command, such as "train" or "resume".
    """

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.records = folder / "records"
        self.run = folder / "run"
        self.export = folder / "export"
        self.printed: dict[str, str] = {}


def trained(folder: Path) -> Trained:
    """The model in `folder`; the first worker trains it, the others wait."""
    folder.mkdir(parents=True, exist_ok=True)
    model = Trained(folder)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / _DONE).exists():
            _train(model)
            (folder / _DONE).write_text(json.dumps(model.printed))
    model.printed = json.loads((folder / _DONE).read_text())
    return model


def _train(model: Trained) -> None:
    def do(name: str, *arguments: object) -> None:
        model.printed[name] = tfod(*arguments)

    do("demo", "demo", "--out", model.data, "--images", 480)
    do("convert", "convert", model.data, "--out", model.records)
    size = ("--input_size", 128, "--batch_size", 16, "--learning_rate", 0.006)
    do(
        *("configure", "configure", "ssd_cpu", "--records", model.records, "--out", model.run),
        *("--steps", STEPS, *size, "--augment", "horizontal_flip"),
    )
    do("train", "train", model.run)
    do("resume", "train", model.run, "--steps", STEPS + 2)
    do("again", "train", model.run, "--steps", STEPS + 2)
    do("evaluate", "evaluate", model.run, "--split", "test")
    do("export", "export", model.run, "--out", model.export)
