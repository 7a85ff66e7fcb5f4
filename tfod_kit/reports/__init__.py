"""Reads what there is to show of a run: its history, evaluations, data and environment.

Nothing here loads TensorFlow: a report is built from the files that training and evaluation wrote,
in a second or two, for runs that are finished, in progress or killed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tfod_kit import pipeline_config
from tfod_kit.errors import UsageError
from tfod_kit.records import conversion_report
from tfod_kit.records.conversion_report import StoredReport
from tfod_kit.reports import events
from tfod_kit.runs import best_checkpoint, results, run_folder, training_history
from tfod_kit.runs.best_checkpoint import BestCheckpoint
from tfod_kit.runs.results import Results
from tfod_kit.runs.run_folder import RunRecord
from tfod_kit.runs.training_history import History

EVAL = "eval"


@dataclass(frozen=True, slots=True)
class RunData:
    """One run, as far as its files have been written.

    Attributes:
      name: its folder's name, or more of its path if two runs have the same folder name.
      folder: the run folder.
      history: its points; those in TensorBoard's files if upstream's program trained it.
      evaluations: the newest results of each split.
      eval_folder: the folder of the results' drawn images.
      best: the best checkpoint, if one was kept.
      record: what it was trained with, if tfod_kit trained it.
      config: pipeline.config as text; "" without one.
      data: the report of `tfod convert` on the records; empty without one.
    """

    name: str
    folder: Path
    history: History
    evaluations: Mapping[str, Results] = field(default_factory=dict)
    eval_folder: Path = Path()
    best: BestCheckpoint | None = None
    record: RunRecord | None = None
    config: str = ""
    data: StoredReport = field(default_factory=StoredReport)

    @property
    def results(self) -> Results | None:
        """The evaluation to show: of val, or else of the first split."""
        return self.evaluations.get("val") or next(iter(self.evaluations.values()), None)


def read(folder: Path, name: str = "") -> RunData:
    """Reads a run folder.

    Raises:
      UsageError: it is not a run folder, or has neither history nor evaluations.
      DataError: a file in it is damaged.
    """
    if not folder.is_dir():
        raise UsageError(
            "There is no such run folder.",
            where=folder,
            fix="Name the folder that `tfod train` trains in.",
        )
    history = training_history.read(folder)
    if not history.train:
        history = History(events.train_points(folder), history.evals)
    documents = [results.load(file) for file in results.available(folder / EVAL)]
    if not history.evals:
        history = History(history.train, _eval_points(documents))
    config = folder / pipeline_config.FILE_NAME
    run = RunData(
        name=name or folder.resolve().name,
        folder=folder,
        history=history,
        # Documents are ordered by split and step, so the last of each split is the newest.
        evaluations={document.split: document for document in documents},
        eval_folder=folder / EVAL,
        best=best_checkpoint.read(folder),
        record=run_folder.read(folder),
        config=config.read_text("utf-8") if config.is_file() else "",
        data=_data(config),
    )
    if not (history.train or history.evals or documents):
        raise UsageError(
            "There is nothing to show of this run yet: no history and no evaluation.",
            where=folder,
            expected=f"{training_history.FILE_NAME}, TensorBoard files in train/, or {EVAL}/*.json",
            found=", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing",
            fix=f"Train it (`tfod train {folder}`), or measure it (`tfod evaluate {folder}`).",
        )
    return run


def _eval_points(documents: Sequence[Results]) -> tuple[training_history.EvalPoint, ...]:
    """The evaluations of a run that was not measured during training, as points of its history."""
    return tuple(
        training_history.EvalPoint(document.step, document.split, document.metrics)
        for document in documents
        if document.step is not None
    )


def read_all(folders: Sequence[Path]) -> list[RunData]:
    """Reads several runs; each name is as much of the path as distinguishes the runs."""
    paths = [folder.resolve() for folder in folders]
    depth = 1
    while depth < 8 and len({path.parts[-depth:] for path in paths}) < len(paths):
        depth += 1
    return [
        read(folder, "/".join(path.parts[-depth:]))
        for folder, path in zip(folders, paths, strict=True)
    ]


def _data(config_path: Path) -> StoredReport:
    """The report of `tfod convert` on the records that a config trains on; empty without one."""
    if not config_path.is_file():
        return StoredReport()
    config = pipeline_config.load(config_path)
    patterns = pipeline_config.record_patterns(config.train_input_reader)
    # It is missing if the records are moved, remote or of another program; the page omits it then.
    return conversion_report.read(Path(patterns[0]).parent) if patterns else StoredReport()
