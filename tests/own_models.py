"""The readers of the kit's own models, checkpoints, archives and records."""

import gzip
import io
import json
import random
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from index_writer import write_index
from small_records import write_records

from tfod_kit import checks, pipeline_config
from tfod_kit.checks import checkpoint as checkpoint_check
from tfod_kit.conversion import writing
from tfod_kit.conversion.writing import Shard
from tfod_kit.core import labels
from tfod_kit.detectors import classes, input_size
from tfod_kit.io import files
from tfod_kit.records import conversion_report, salvage, shards
from tfod_kit.runs import checkpoint_index
from tfod_kit.zoo import download
from tfod_kit.zoo.unpack import unpack


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader of one of the kit's own files.

    Attributes:
      write: writes a valid file into a folder; returns its path.
      read: reads the file at the path, and whatever is derived from it.
      refuses: whether some damage must be refused; other files are ignored if they are damaged.
      slow: whether reading it takes a tenth of a second, or nearly so.
    """

    write: Callable[[Path], Path]
    read: Callable[[Path], object]
    refuses: bool = True
    slow: bool = False


CONFIG = "train_config { num_steps: 9 batch_size: 2 }\nmodel { ssd { num_classes: 2 } }\n"
LABELS = 'item { id: 1 name: "cat" }\nitem { id: 2 name: "dog" }\n'
EXPORT = {"target": "saved_model", "resized_to": {"height": 320, "width": 320}}


def text(name: str, content: object) -> Callable[[Path], Path]:
    """What writes a text, or a value as JSON, as a file of this name."""

    def write(folder: Path) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(path, content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def write_checkpoint_index(folder: Path) -> Path:
    write_index(folder / "ckpt-1", {f"model/layer-{n}/kernel": (3, 3, n, 2) for n in range(20)})
    return folder / "ckpt-1.index"


def _data(folder: Path) -> Path:
    values = {f"model/layer-{n}/kernel": random.Random(n).randbytes(40 * n) for n in range(1, 9)}
    shapes = {name: (len(data) // 4,) for name, data in values.items()}
    write_index(folder / "ckpt-1", shapes, values=values)
    return folder / "ckpt-1.data-00000-of-00001"


def _verify(path: Path) -> None:
    prefix = path.with_name("ckpt-1")
    checkpoint_check._damage(prefix, quick=True)
    if tensor := checkpoint_index.damaged(prefix):
        raise checkpoint_index.CheckpointError(f"{tensor} is damaged.")


def _archive(folder: Path) -> Path:
    content = {"pipeline.config": b"model { }", "checkpoint/ckpt-0.index": b"index" * 99}
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, data in content.items():
            member = tarfile.TarInfo(f"model/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    (folder / "model.tar").write_bytes(stream.getvalue())
    return folder / "model.tar"


def _packed_archive(folder: Path) -> Path:
    path = _archive(folder).with_name("model.tar.gz")
    path.write_bytes(gzip.compress(path.with_name("model.tar").read_bytes()))
    return path


def _unpack(path: Path) -> None:
    unpack(path, path.with_name("unpacked"))


def _pack_and_unpack(path: Path) -> None:
    packed = path.with_name("model.tar.gz")
    packed.write_bytes(gzip.compress(path.read_bytes(), 1))
    _unpack(packed)


def _download_record(folder: Path) -> Path:
    sizes = {"pipeline.config": 9, "checkpoint/ckpt-0.index": 3}
    text("model/pipeline.config", "model { }")(folder)
    text("model/checkpoint/ckpt-0.index", "abc")(folder)
    record = {"source": "https://host/model.tar.gz", "sha256": "ab" * 32, "files": sizes}
    return text("model.json", record)(folder)


def _exported(folder: Path) -> Path:
    text(pipeline_config.FILE_NAME, CONFIG)(folder)
    text(labels.FILE_NAME, LABELS)(folder)
    return text(input_size.EXPORT_FILE, EXPORT)(folder)


def _exported_config(folder: Path) -> Path:
    return _exported(folder).with_name(pipeline_config.FILE_NAME)


def _exported_classes(folder: Path) -> Path:
    return _exported(folder).with_name(labels.FILE_NAME)


def _load_export(path: Path) -> None:
    rule = input_size.of_folder(path.parent)
    if rule is not None:
        rule(480, 640)
    classes.of_folder(None, path.parent)


def _shard(folder: Path) -> Shard:
    names = labels.from_names(["red", "blue"])
    return Shard(folder / "train-00000-of-00001.tfrecord", "train", (), names, "skip")


def _shard_note(folder: Path) -> Path:
    shard = _shard(folder)
    size, crc = shards.write(shard.path, [b"record"])
    made_from = writing._fingerprint(shard, writing._digest(shard))
    counts = dict.fromkeys(("images", "negatives", "objects", "masks"), 1)
    note = counts | {"most_objects": 1, "classes": {"red": 1}, "findings": {}, "bytes": size}
    note |= {"crc32c": f"{crc:08x}", "annotations": "ab", "pixels": "cd", "made_from": made_from}
    return text(shard.note.name, note)(folder)


def _records(folder: Path) -> Path:
    return write_records(folder / "records", train=2, val=0) / "train-00000-of-00001.tfrecord"


def _checked_records(folder: Path) -> Path:
    return write_records(folder / "records", train=3, val=1) / "train-00000-of-00001.tfrecord"


def _check_records(path: Path) -> None:
    checks.check(path.parent, checks.CheckOptions(pixels=True))


def _class_names(path: Path) -> None:
    classes.from_json(path.read_text("utf-8", errors="replace"))


MODEL_READERS = {
    "checkpoint index": Reader(
        write_checkpoint_index, lambda path: checkpoint_index.read(path.with_suffix(""))
    ),
    "checkpoint data": Reader(_data, _verify),
    "zoo archive": Reader(_packed_archive, _unpack),
    "zoo archive's content": Reader(_archive, _pack_and_unpack),
    "download record": Reader(
        _download_record, lambda path: download._cached(path.with_suffix(""), None), refuses=False
    ),
    "export": Reader(_exported, _load_export, refuses=False),
    "export's config": Reader(_exported_config, _load_export),
    "export's classes": Reader(_exported_classes, _load_export),
    "classes in a model": Reader(
        text("classes.json", {"cat": 1, "dog": 2}), _class_names, refuses=False
    ),
    "records": Reader(_records, lambda path: list(shards.read(path))),
    "records to salvage": Reader(_records, lambda path: list(salvage.salvage(path)), refuses=False),
    "records to check": Reader(_checked_records, _check_records, refuses=False, slow=True),
    "conversion report alone": Reader(
        text("report.json", {"splits": {"train": {"images": 3}}}),
        lambda path: conversion_report.read(path.parent),
        refuses=False,
    ),
    "note of a resumed conversion": Reader(
        _shard_note, lambda path: writing.finished(_shard(path.parent)), refuses=False
    ),
}
