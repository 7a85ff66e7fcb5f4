"""The folder in which the docs' examples run: data sets, records and a run by name."""

import random
import shutil
from pathlib import Path

from PIL import Image
from samples import coco, voc_xml
from trained import Trained

from tfod_kit.cli import main

SIZE = (96, 72)


def build(folder: Path) -> Path:
    """Writes what the pages name; takes about a second, without TensorFlow."""
    for name, classes in {
        "photos": ("cat", "dog"),
        "lab_photos": ("car", "van"),
        "old_set": ("car", "van"),
        "cells": ("RBC", "WBC", "Platelets"),
        "BCCD": ("RBC", "WBC", "Platelets"),
        "traffic": ("car", "van", "truck", "bike", "moped"),
    }.items():
        _voc(folder / name, classes)
    _coco(folder / "coco", ("person", "dog", "potted plant"))
    _coco(folder / "val2017", ("person", "dog"))
    shutil.copy(folder / "val2017" / "annotations.json", folder / "instances_val.json")
    (folder / "results.json").write_text(
        '[{"image_id": 1, "category_id": 1, "bbox": [10, 8, 40, 30], "score": 0.9}]'
    )
    _image(folder / "pipes" / "cat.jpg", 0)
    (folder / "pipes" / "all.pipes").write_text("cat.jpg|cat|10|20|50|60\n")
    run(folder, "convert", folder / "photos", "--to", "yolo", "--out", folder / "photos_yolo")
    run(folder, "convert", folder / "photos", "--out", folder / "work" / "records")
    for name in ("run", "ssd_cpu"):
        run(
            *(folder, "configure", "ssd_cpu", "--brief"),
            *("--records", folder / "work" / "records", "--out", folder / "work" / name),
        )
    shutil.copy(folder / "work" / "run" / "pipeline.config", folder / "old.config")
    return folder


def add_trained(folder: Path, trained: Trained) -> Path:
    """Puts the suite's trained model in the place of work/run."""
    work = folder / "work"
    for name, source in {"records": trained.records, "run": trained.run}.items():
        shutil.rmtree(work / name, ignore_errors=True)
        shutil.copytree(source, work / name)
    shutil.copytree(trained.export, work / "run" / "export")
    for name in ("cells", "ssd", "ssd_mobilenet"):
        (work / name).symlink_to("run")
    for number, path in enumerate(sorted((trained.data / "unseen").glob("*.jpg"))[:8]):
        shutil.copy(path, folder / "photos" / f"new-{number}.jpg")
    image = folder / "photos" / "new-0.jpg"
    for name in ("street.jpg", "a.jpg", "BCCD/JPEGImages/BloodImage_00000.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(image, folder / name)
    return folder


def run(folder: Path, *arguments: object) -> int:
    """Runs a command in this process."""
    return main.main([str(argument) for argument in arguments])


def _voc(folder: Path, classes: tuple[str, ...]) -> None:
    for number in range(20):
        _image(folder / f"{number}.jpg", number)
        objects = [
            (label, (8 + 10 * index, 6, 26 + 10 * index, 40))
            for index, label in enumerate(classes)
            if (number + index) % len(classes) < 2
        ]
        (folder / f"{number}.xml").write_text(voc_xml(f"{number}.jpg", objects, SIZE))


def _coco(folder: Path, classes: tuple[str, ...]) -> None:
    images = [
        {"id": number, "file_name": f"{number}.jpg", "width": SIZE[0], "height": SIZE[1]}
        for number in range(1, 13)
    ]
    for image in images:
        _image(folder / str(image["file_name"]), int(str(image["id"])))
    categories = [{"id": index, "name": name} for index, name in enumerate(classes, 1)]
    annotations = [
        {
            "id": len(classes) * number + index,
            "image_id": number,
            "category_id": index,
            "bbox": [10, 8, 40, 30],
            "area": 1200,
            "iscrowd": 0,
        }
        for number in range(1, 13)
        for index in range(1, len(classes) + 1)
    ]
    coco(folder / "annotations.json", images, annotations, categories)


def _image(path: Path, seed: int) -> None:
    """Writes an image that looks like no other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = Image.frombytes("RGB", (8, 6), random.Random(f"{path}{seed}").randbytes(8 * 6 * 3))
    noise.resize(SIZE).save(path, quality=95)
