"""What there is to show of a run: its history, evaluations, data and environment, read as it is.

Nothing here loads TensorFlow: a report is made from what training and evaluation wrote, in a second
or two, for runs that are finished, under way, or were killed.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfod_kit import pipeline_config
from tfod_kit.errors import UsageError
from tfod_kit.reports import events
from tfod_kit.runs import best_checkpoint, results, run_folder, training_history
from tfod_kit.runs.best_checkpoint import BestCheckpoint
from tfod_kit.runs.results import Results
from tfod_kit.runs.run_folder import RunRecord
from tfod_kit.runs.training_history import History

EVAL = "eval"
DATA_REPORT = "report.json"


@dataclass(frozen=True, slots=True)
class RunData:
    """One run, as far as it has been written.

    Attributes:
      name: what to call it: its folder's name, or more of its path where two have the same.
      folder: the run folder.
      history: its points; those of TensorBoard's files where upstream's program trained it.
      evaluations: the newest results of each split.
      eval_folder: where the pictures of the results lie.
      best: the best checkpoint, where one was kept.
      record: what it was trained with, where tfod_kit trained it.
      config: pipeline.config as text; "" without one.
      data: what `tfod convert` reported of the records; empty without.
    """

    name: str
    folder: Path
    history: History
    evaluations: Mapping[str, Results] = field(default_factory=dict)
    eval_folder: Path = Path()
    best: BestCheckpoint | None = None
    record: RunRecord | None = None
    config: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def results(self) -> Results | None:
        """The evaluation to show: of val, or of whatever split there is."""
        return self.evaluations.get("val") or next(iter(self.evaluations.values()), None)


def short_name(metric: str) -> str:
    """A metric as a page calls it: "boxes mAP@.50IOU"; those of other protocols keep their name."""
    kind, _, what = metric.partition("_")
    short = {"DetectionBoxes": "boxes", "DetectionMasks": "masks", "Keypoints": "keypoints"}
    return f"{short[kind]} {what.partition('/')[2]}" if kind in short else metric


def read(folder: Path, name: str = "") -> RunData:
    """Reads a run folder.

    Raises:
      UsageError: it holds nothing of a run.
      DataError: a file in it is damaged.
    """
    if not folder.is_dir():
        raise UsageError(
            "There is no such run folder.",
            where=folder,
            fix="Name the folder that `tfod train` trains in.",
        )
    known = training_history.read(folder)
    if not known.train:
        known = History(events.train_points(folder), known.evals)
    documents = [results.load(file) for file in results.available(folder / EVAL)]
    if not known.evals:
        known = History(known.train, _eval_points(documents))
    config = folder / pipeline_config.FILE_NAME
    found = RunData(
        name=name or folder.resolve().name,
        folder=folder,
        history=known,
        # By split, then by step: the newest of each split is the last.
        evaluations={document.split: document for document in documents},
        eval_folder=folder / EVAL,
        best=best_checkpoint.read(folder),
        record=run_folder.read(folder),
        config=config.read_text("utf-8") if config.is_file() else "",
        data=_data(config),
    )
    if not (known.train or known.evals or documents):
        raise UsageError(
            "There is nothing to show of this run yet: no history, and no evaluation.",
            where=folder,
            expected=f"{training_history.FILE_NAME}, TensorBoard files in train/, or {EVAL}/*.json",
            found=", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing",
            fix=f"Train it (`tfod train {folder}`), or measure it (`tfod evaluate {folder}`).",
        )
    return found


def _eval_points(documents: Sequence[Results]) -> tuple[training_history.EvalPoint, ...]:
    """The evaluations of a run that was not measured while it trained, as its history has them."""
    return tuple(
        training_history.EvalPoint(document.step, document.split, document.metrics)
        for document in documents
        if document.step is not None
    )


def read_all(folders: Sequence[Path]) -> list[RunData]:
    """Reads several runs; as much of each path is its name as tells them apart."""
    paths = [folder.resolve() for folder in folders]
    depth = 1
    while depth < 8 and len({path.parts[-depth:] for path in paths}) < len(paths):
        depth += 1
    return [
        read(folder, "/".join(path.parts[-depth:]))
        for folder, path in zip(folders, paths, strict=True)
    ]


def _data(config_path: Path) -> Mapping[str, Any]:
    """What convert reported of the records that a config trains on; empty where it is not there."""
    if not config_path.is_file():
        return {}
    config = pipeline_config.load(config_path)
    patterns = pipeline_config.record_patterns(config.train_input_reader)
    report = Path(patterns[0]).parent / DATA_REPORT if patterns else Path(DATA_REPORT)
    try:
        document = json.loads(report.read_text("utf-8"))
    except (OSError, ValueError):
        return {}  # moved, remote, or made by another program: the report does without
    return document if isinstance(document, dict) and "splits" in document else {}
