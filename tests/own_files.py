"""The readers of the kit's own files, and mutations of files."""

import random
from collections.abc import Iterator
from pathlib import Path

import scenes
from own_models import CONFIG, LABELS, MODEL_READERS, Reader, text, write_checkpoint_index
from small_records import write_records

from tfod_kit import pipeline_config, reports
from tfod_kit.configuration import dataset
from tfod_kit.core import labels
from tfod_kit.evaluation import coco, from_json
from tfod_kit.prediction.journal import Journal
from tfod_kit.reports import page
from tfod_kit.runs import (
    best_checkpoint,
    checkpoints,
    results,
    run_folder,
    run_lock,
    training_history,
)
from tfod_kit.runs.training_history import EvalPoint, TrainPoint

MAP = "DetectionBoxes_Precision/mAP"
VALUES = [
    *("null", "true", "[]", "{}", '""', '"x"', "-1", "0", "1.5", "-0.0", "1e308", "1e999"),
    *("9" * 30, "9" * 400, "-" + "9" * 400, "NaN", '"\\ud800"', "[" * 2000, '{"a":' * 2000),
]


def _history(folder: Path) -> Path:
    points = [TrainPoint(step, {"Loss/total_loss": 1 / step}, 0.1, 2.0) for step in range(1, 9)]
    training_history.append(
        folder, *points, EvalPoint(8, "val", {MAP: 0.5}, {"cat": {"ap50": 0.5}})
    )
    return folder / training_history.FILE_NAME


def _state(folder: Path) -> Path:
    write_checkpoint_index(folder)
    return text("checkpoint", 'model_checkpoint_path: "ckpt-1"\n')(folder)


def _results(folder: Path) -> Path:
    metrics, classes = coco.measure(from_json.read(*scenes.write(folder)))
    (folder / "eval").mkdir()
    whole = results.Results(
        metrics=metrics, classes=classes, images=30, detections=9, split="val", step=8
    )
    results.save(whole, folder / "eval" / "val-8.json")
    return folder / "eval" / "val-8.json"


def _report(folder: Path) -> Path:
    write_records(folder / "records", train=3, val=1)
    split = {"images": 3, "files": ["train-00000-of-00001.tfrecord"], "classes": {"red": 4}}
    return text("records/report.json", {"splits": {"train": split}, "findings": {}})(folder)


def _journal(folder: Path) -> Path:
    with Journal(folder, {"model": "abc", "min_score": "0.5"}) as journal:
        journal._stream.write(b'{"file":"a.jpg","drawn":"","stamp":[1,2],"objects":[]}\n' * 3)
    return folder / "journal.jsonl"


def _open_journal(path: Path) -> None:
    with Journal(path.parent, {"model": "abc", "min_score": "0.5"}) as journal:
        journal.entry(Path("a.jpg"))


def _detections(path: Path) -> None:
    coco.measure(from_json.read(path.parent / "truth.json", path))


def _truth(path: Path) -> None:
    coco.measure(from_json.read(path, path.parent / "found.json"))


RUN = {
    "classes": {"1": "cat"},
    "data": {"train": ["train-*"]},
    "starts": [
        {"time": 1.7e9, "step": 0, "command": ["train", "run"], "config": "ab", "versions": {}}
    ],
    "ended": "finished",
    "step": 9,
}
BEST = {"metric": MAP, "value": 0.5, "step": 8, "checkpoint": "ckpt-8"}
LOCK = {"pid": 7, "host": "here", "command": "tfod train run", "since": 1.7e9, "cluster": ["a:1"]}
SHARD = {"images": 3, "bytes": 100, "made_from": "ab"}

READERS = {
    "checkpoint state": Reader(
        _state, lambda path: checkpoints.resolve(path.parent), refuses=False
    ),
    "history": Reader(_history, lambda path: training_history.write_tables(path.parent)),
    "run record": Reader(text("run.json", RUN), lambda path: run_folder.read(path.parent)),
    "best checkpoint": Reader(
        text("best/best.json", BEST), lambda path: best_checkpoint.read(path.parent.parent)
    ),
    "lock": Reader(
        text(".tfod.lock", LOCK), lambda path: str(run_lock._stated(path)), refuses=False
    ),
    "results": Reader(_results, lambda path: str(results.load(path))),
    "whole run": Reader(_history, lambda path: reports.read(path.parent)),
    "report page": Reader(_history, lambda path: page.html(reports.read(path.parent)), slow=True),
    "report page of an evaluation": Reader(
        _results, lambda path: page.html(reports.read(path.parents[1])), slow=True
    ),
    "conversion report": Reader(_report, lambda path: dataset.read(path.parent), refuses=False),
    "journal": Reader(_journal, _open_journal, refuses=False),
    "ground truth": Reader(lambda folder: scenes.write(folder)[0], _truth, slow=True),
    "detections": Reader(lambda folder: scenes.write(folder)[1], _detections, slow=True),
    "config": Reader(text("pipeline.config", CONFIG), pipeline_config.load),
    "label map": Reader(text("label_map.pbtxt", LABELS), labels.load),
    **MODEL_READERS,
}


def mutations(data: bytes, seed: int, count: int) -> Iterator[bytes]:
    """Versions of a file as truncations, bad sectors, editors and other programs leave them."""
    chance = random.Random(seed)
    yield from (b"", b"\0", b"\0" * len(data), b"\xff\xfe" + data, data + data, b"[]", b"{}")
    numbers = [index for index, byte in enumerate(data) if byte in b"0123456789"]
    for _ in range(count):
        at = chance.randrange(len(data))
        length = chance.randrange(1, 40)
        junk = chance.randbytes(length)
        value = chance.choice(VALUES).encode()
        digit = chance.choice(numbers) if numbers else at
        end = digit
        while end < len(data) and data[end] in b"0123456789.e+-":
            end += 1
        yield chance.choice(
            [
                data[:at],
                data[:at] + data[at + length :],
                data[:at] + junk + data[at + length :],
                data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :],
                data[:at] + b"\0" * length + data[at + length :],
                data[:at] + data[at : at + length] * 3 + data[at + length :],
                data[:digit] + value + data[end:],
                data[:digit] + value + data[end:],
            ]
        )
