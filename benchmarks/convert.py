"""`tfod convert` beside upstream's own converters, on one data set, in one run.

    python benchmarks/convert.py [--images 3000] [--rounds 3]
    python benchmarks/convert.py --plan [--images 118000]

Draws JPEGs of 640x480 and about 115 kB with 7 outlines each, as COCO and as Pascal VOC, then
converts them by turns with tfod and, through `tfod run`, with create_coco_tf_record and
create_pascal_tf_record. Each is a process of its own, its start and imports counted. `copy` reads
the same bytes and writes them to the disk, as tfod does, that is with fsync; `cp` leaves them in
memory. The best of the rounds counts; upstream's take one, for they take a minute. `--plan` only
plans, on a COCO file as large as train2017's, beside pycocotools opening it.
"""

import argparse
import json
import math
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

PYTHON = sys.executable
TFOD = (PYTHON, "-m", "tfod_kit")
WIDTH, HEIGHT, OBJECTS, CLASSES = 640, 480, 7, 80

# Runs a command, and writes its CPU seconds and its peak in KiB to a file.
USED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
open(sys.argv[1], "w").write(f"{used.ru_utime + used.ru_stime} {used.ru_maxrss}")
sys.exit(code)
"""

# What a conversion does before it writes.
PLAN = """
import sys
from pathlib import Path
from tfod_kit import conversion, datasets
from tfod_kit.conversion import ConvertOptions, planning
from tfod_kit.formats.common.findings import Findings

def plan(source):
    findings, options = Findings(), ConvertOptions()
    loaded = datasets.load(source, options.for_loading(), findings=findings)
    groups, _ = planning.assign(loaded, options, findings)
    return planning.plan(groups, loaded, Path("out"), options)

with conversion._collector_paused() as resume:
    shards = plan(Path(sys.argv[1]))
    resume()
    print(sum(len(shard.annotations) for shard in shards), "images,", len(shards), "record files")
del shards
"""
COPY = 'mkdir "$2" && cat "$1"/* > "$2/all" && sync "$2/all"'
OPEN = "import sys\nfrom pycocotools.coco import COCO\nCOCO(sys.argv[1])"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plan", action="store_true", help="plan a large COCO file instead")
    parser.add_argument("--images", type=int, help="3,000, or with --plan 118,000, unless told")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dir", type=Path, help="where to work; a temporary folder unless told")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as named:
        folder = args.dir or Path(named)
        folder.mkdir(parents=True, exist_ok=True)
        measure = plan if args.plan else convert
        measure(folder, args.images or (118_000 if args.plan else 3_000), args.rounds)


def convert(folder: Path, images: int, rounds: int) -> None:
    draw(folder / "large", images)
    draw(folder / "small", images // 10)
    large = folder / "large"
    commands = {
        "cp": ["cp", "-r", large / "JPEGImages", folder / "out"],
        "copy": ["sh", "-c", COPY, "sh", large / "JPEGImages", folder / "out"],
        "tfod": ours(large / "coco", folder / "out", "--no_masks"),
        "tfod, a tenth": ours(folder / "small" / "coco", folder / "out", "--no_masks"),
        "create_coco_tf_record": theirs_coco(large, folder / "out", masks=False),
        "tfod, masks": ours(large / "coco", folder / "out"),
        "create_coco_tf_record, masks": theirs_coco(large, folder / "out", masks=True),
        "tfod, VOC": ours(large / "voc", folder / "out"),
        "tfod, VOC to COCO": ours(large / "voc", folder / "out", "--to", "coco"),
        "create_pascal_tf_record": theirs_voc(large, folder / "out"),
    }
    seen = by_turns(commands, folder / "out", rounds)
    print(f"{'':<30}{'wall s':>8}{'CPU s':>8}{'peak MB':>9}{'written MB':>12}")
    for name, (wall, cpu, peak, written) in seen.items():
        print(f"{name:<30}{wall:8.2f}{cpu:8.2f}{peak:9.0f}{written:12.0f}")
    print(f"{'':<52}{'wall':>8}{'CPU':>8}   wanted")
    for one, other, wanted in (
        ("create_coco_tf_record", "tfod", ""),
        ("create_coco_tf_record, masks", "tfod, masks", "20 and more"),
        ("create_pascal_tf_record", "tfod, VOC", "5 and more"),
        ("tfod", "copy", "2.5 and less"),
        ("tfod", "cp", ""),
        ("tfod", "tfod, a tenth", "10.5 and less"),
    ):
        wall, cpu = (seen[one][place] / seen[other][place] for place in (0, 1))
        print(f"{f'{one} / {other}':<52}{wall:8.1f}{cpu:8.1f}   {wanted}")


def plan(folder: Path, images: int, rounds: int) -> None:
    data = folder / "train2017"
    if not data.exists():
        content = coco(images, outline_points=29)
        write_json(data / "instances_train2017.json", content)
        (data / "images").mkdir()
        for number in range(images):
            (data / "images" / name(number)).write_bytes(b"\xff\xd8\xff" + number.to_bytes(4))
    file = data / "instances_train2017.json"
    print(f"{file.stat().st_size / 1e6:.0f} MB")
    commands = {
        "tfod plans": [PYTHON, "-c", PLAN, data],
        "pycocotools opens": [PYTHON, "-c", OPEN, file],
    }
    seen = by_turns(commands, folder / "out", rounds)
    for what, (wall, cpu, peak, _) in seen.items():
        print(f"{what:<20}{wall:8.2f} s {cpu:8.2f} s of CPU {peak:8.0f} MB")
    ours, theirs = seen.values()
    wall, cpu = theirs[0] / ours[0], theirs[1] / ours[1]
    print(f"ratio {wall:.1f} in wall time, {cpu:.1f} in CPU time; wanted 3 and more, in 1,500 MB")


def ours(source: Path, out: Path, *options: object) -> list[object]:
    images = source.parent / "JPEGImages"
    words = ["convert", source, "--images", images, "--out", out, "--split", "1"]
    return [*TFOD, *words, *options]


def theirs_coco(data: Path, out: Path, *, masks: bool) -> list[object]:
    train, none = data / "coco" / "instances_train.json", data / "empty.json"
    folders = [f"--{split}_image_dir={data / 'JPEGImages'}" for split in ("train", "val", "test")]
    return [
        *(*TFOD, "run", "object_detection.dataset_tools.create_coco_tf_record", "--"),
        *(f"--include_masks={masks}", *folders, f"--train_annotations_file={train}"),
        *(f"--val_annotations_file={none}", f"--testdev_annotations_file={none}"),
        f"--output_dir={out}",
    ]


def theirs_voc(data: Path, out: Path) -> list[object]:
    out_file = out / "train.record"
    return [
        *(*TFOD, "run", "object_detection.dataset_tools.create_pascal_tf_record", "--"),
        *(f"--data_dir={data / 'upstream'}", "--year=VOC2012", "--set=train"),
        *(f"--label_map_path={data / 'label_map.pbtxt'}", f"--output_path={out_file}"),
    ]


def by_turns(
    commands: dict[str, list[object]], out: Path, rounds: int
) -> dict[str, tuple[float, float, float, float]]:
    """Name -> the best (wall s, CPU s), and the peak and written MB, of a few rounds."""
    seen: dict[str, list[tuple[float, float, float, float]]] = {what: [] for what in commands}
    for number in range(rounds):
        for what, command in commands.items():
            if number and "run" in command:
                continue
            shutil.rmtree(out, ignore_errors=True)
            if "run" in command:
                out.mkdir()
            seen[what].append((*timed(command), size(out)))
    return {what: tuple(map(min, zip(*rows, strict=True))) for what, rows in seen.items()}


def timed(command: Sequence[object]) -> tuple[float, float, float]:
    """(Wall s, CPU s, peak MB of the largest process) of a command and its children."""
    start = time.monotonic()
    with tempfile.TemporaryFile() as said, tempfile.NamedTemporaryFile("r") as figures:
        # A small process between: the peak of a process starts at what its starter holds.
        between = [PYTHON, "-S", "-c", USED, figures.name]
        done = subprocess.run([*between, *map(str, command)], stdout=said, stderr=said)
        wall = time.monotonic() - start
        if done.returncode:
            said.seek(0)
            sys.exit(said.read().decode()[-3000:])
        cpu, peak = map(float, figures.read().split())
    return wall, cpu, peak / 1024


def size(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def draw(folder: Path, images: int) -> None:
    """The same pictures and boxes as COCO, as VOC for tfod, and as upstream wants VOC."""
    if folder.exists():
        return
    pictures = folder / "JPEGImages"
    pictures.mkdir(parents=True)
    noise = np.random.default_rng(0).integers(-60, 60, (HEIGHT + 120, WIDTH + 160, 3), np.int16)
    slope = np.linspace(40, 215, WIDTH, dtype=np.int16)[None, :, None]
    dice = random.Random(0)
    for number in range(images):
        y, x = dice.randrange(120), dice.randrange(160)
        pixels = np.clip(slope + noise[y : y + HEIGHT, x : x + WIDTH], 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(pictures / name(number), quality=71)
    content = coco(images)
    write_json(folder / "coco" / "instances_train.json", content)
    write_json(folder / "empty.json", {**content, "images": [], "annotations": []})
    write_voc(folder, content)


def coco(images: int, outline_points: int = 20) -> dict[str, list]:
    dice = random.Random(1)
    annotations = []
    for number in range(images * OBJECTS if images < 100_000 else images * 860 // 118):
        radius = dice.uniform(15, 130)
        x, y = dice.uniform(radius, WIDTH - radius), dice.uniform(radius, HEIGHT - radius)
        ring = outline(dice, x, y, radius, dice.randrange(8, 2 * outline_points - 8))
        left, upper, right, lower = min(ring[::2]), min(ring[1::2]), max(ring[::2]), max(ring[1::2])
        annotations.append(
            {
                "id": number + 1,
                "image_id": number % images + 1,
                "category_id": dice.randrange(CLASSES) + 1,
                "iscrowd": 0,
                "bbox": [left, upper, round(right - left, 2), round(lower - upper, 2)],
                "area": round(3 * radius * radius, 2),
                "segmentation": [ring],
            }
        )
    listed = [
        {"id": number + 1, "file_name": name(number), "width": WIDTH, "height": HEIGHT}
        for number in range(images)
    ]
    categories = [{"id": number, "name": f"class {number}"} for number in range(1, CLASSES + 1)]
    return {"images": listed, "annotations": annotations, "categories": categories}


def outline(dice: random.Random, x: float, y: float, radius: float, points: int) -> list[float]:
    ring = []
    for point in range(points):
        angle, reach = 2 * math.pi * point / points, radius * dice.uniform(0.6, 1)
        ring += [round(x + reach * math.cos(angle), 2), round(y + reach * math.sin(angle), 2)]
    return ring


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_voc(folder: Path, content: dict[str, list]) -> None:
    boxes: dict[int, list[str]] = {}
    for item in content["annotations"]:
        x, y, w, h = item["bbox"]
        # Whole pixels: upstream reads nothing else.
        boxes.setdefault(item["image_id"], []).append(
            f"<object><name>class {item['category_id']}</name><pose>Left</pose>"
            f"<truncated>0</truncated><difficult>0</difficult><bndbox><xmin>{int(x)}</xmin>"
            f"<ymin>{int(y)}</ymin><xmax>{int(x + w)}</xmax><ymax>{int(y + h)}</ymax></bndbox>"
            "</object>"
        )
    upstream = folder / "upstream" / "VOC2012"
    (folder / "voc" / "Annotations").mkdir(parents=True)
    (upstream / "ImageSets" / "Main").mkdir(parents=True)
    for image in content["images"]:
        stem = Path(image["file_name"]).stem
        text = (
            f"<annotation><folder>VOC2012</folder><filename>{image['file_name']}</filename><size>"
            f"<width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
            f"{''.join(boxes.get(image['id'], []))}</annotation>"
        )
        (folder / "voc" / "Annotations" / f"{stem}.xml").write_text(text)
    (upstream / "Annotations").symlink_to(folder.resolve() / "voc" / "Annotations")
    (upstream / "JPEGImages").symlink_to(folder.resolve() / "JPEGImages")
    stems = [Path(image["file_name"]).stem for image in content["images"]]
    # Upstream reads one class's list, and only the names in it.
    lists = upstream / "ImageSets" / "Main"
    (lists / "aeroplane_train.txt").write_text("".join(f"{stem} 1\n" for stem in stems))
    items = "".join(
        f"item {{ id: {category['id']} name: '{category['name']}' }}\n"
        for category in content["categories"]
    )
    (folder / "label_map.pbtxt").write_text(items)


def name(number: int) -> str:
    return f"{number:012}.jpg"


if __name__ == "__main__":
    main()
