"""`tfod convert` on one annotation file with a million objects.

    python benchmarks/large_files.py [--objects 1000000] [--images 1] [--only voc,csv]

The file is one of Pascal VOC (which describes one image), CSV, COCO and CVAT; the others share
their objects among `--images` images. Each conversion, to records and to COCO, is a process of its
own. Wanted: at most 20 s and 1,500 MB each.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from convert import TFOD, by_turns, name
from PIL import Image

SIDE, CLASSES = 4000, 20

Row = tuple[int, int, tuple[int, int, int, int]]  # image, class, (xmin, ymin, xmax, ymax)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--images", type=int, default=1, help="that the objects are spread over")
    parser.add_argument("--only", default=",".join(WRITERS), help="comma-separated formats")
    parser.add_argument("--rounds", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), args)


def measure(folder: Path, args: argparse.Namespace) -> None:
    print(f"{args.objects:,} objects in {args.images:,} images (VOC: in 1)")
    print(f"{'':<20}{'wall s':>8}{'CPU s':>8}{'peak MB':>9}")
    for format in args.only.split(","):
        images = 1 if format == "voc" else args.images
        data = folder / format
        draw(data, images)
        WRITERS[format](data, images, args.objects)
        convert = [*TFOD, "convert", data, "--split", "1", "--out", folder / "out"]
        for to, words in {"records": [], "coco": ["--to", "coco"]}.items():
            seen = by_turns({"": [*convert, *words]}, folder / "out", args.rounds)
            wall, cpu, peak, _ = seen[""]
            missed = "" if wall <= 20 and peak <= 1500 else "   above 20 s or 1,500 MB"
            print(f"{format} to {to:<12}{wall:8.1f}{cpu:8.1f}{peak:9.0f}{missed}", flush=True)
        shutil.rmtree(data)


def draw(data: Path, images: int) -> None:
    """Images of one size with different bytes."""
    data.mkdir()
    for number in range(images):
        pixels = Image.new("RGB", (SIDE, SIDE) if images == 1 else (400, 400))
        pixels.save(data / name(number), comment=str(number))


def rows(images: int, objects: int) -> Iterator[Row]:
    """The objects, image by image."""
    dice = random.Random(0)
    side = SIDE if images == 1 else 400
    for number in range(objects):
        x, y = dice.randrange(side - 40), dice.randrange(side - 40)
        box = x, y, x + dice.randrange(2, 40), y + dice.randrange(2, 40)
        yield number * images // objects, dice.randrange(CLASSES), box


def voc(data: Path, images: int, objects: int) -> None:
    with (data / f"{Path(name(0)).stem}.xml").open("w") as file:
        file.write(f"<annotation><filename>{name(0)}</filename><size><width>{SIDE}</width>")
        file.write(f"<height>{SIDE}</height><depth>3</depth></size>\n")
        for _, label, (left, upper, right, lower) in rows(1, objects):
            file.write(
                f"<object><name>class {label}</name><pose>Left</pose><truncated>0</truncated>"
                f"<difficult>0</difficult><bndbox><xmin>{left}</xmin><ymin>{upper}</ymin>"
                f"<xmax>{right}</xmax><ymax>{lower}</ymax></bndbox></object>\n"
            )
        file.write("</annotation>")


def csv(data: Path, images: int, objects: int) -> None:
    side = SIDE if images == 1 else 400
    with (data / "annotations.csv").open("w") as file:
        file.write("filename,width,height,class,xmin,ymin,xmax,ymax\n")
        for image, label, box in rows(images, objects):
            corners = ",".join(map(str, box))
            file.write(f"{name(image)},{side},{side},class {label},{corners}\n")


def coco(data: Path, images: int, objects: int) -> None:
    side = SIDE if images == 1 else 400
    annotations = [
        {
            "id": number,
            "image_id": image,
            "category_id": label + 1,
            "iscrowd": 0,
            "bbox": [left, upper, right - left, lower - upper],
            "area": (right - left) * (lower - upper),
        }
        for number, (image, label, (left, upper, right, lower)) in enumerate(rows(images, objects))
    ]
    listed = [
        {"id": number, "file_name": name(number), "width": side, "height": side}
        for number in range(images)
    ]
    categories = [{"id": label + 1, "name": f"class {label}"} for label in range(CLASSES)]
    content = {"images": listed, "annotations": annotations, "categories": categories}
    (data / "instances.json").write_text(json.dumps(content))


def cvat(data: Path, images: int, objects: int) -> None:
    side = SIDE if images == 1 else 400
    last = -1
    with (data / "annotations.xml").open("w") as file:
        file.write("<annotations><version>1.1</version>\n")
        for image, label, (left, upper, right, lower) in rows(images, objects):
            if image != last:
                file.write("</image>\n" if last >= 0 else "")
                start = f'<image id="{image}" name="{name(image)}"'
                file.write(f'{start} width="{side}" height="{side}">\n')
                last = image
            file.write(
                f'<box label="class {label}" occluded="0" xtl="{left}.00" ytl="{upper}.00" '
                f'xbr="{right}.00" ybr="{lower}.00" z_order="0"></box>\n'
            )
        file.write("</image></annotations>")


WRITERS = {"voc": voc, "csv": csv, "coco": coco, "cvat": cvat}


if __name__ == "__main__":
    sys.exit(main())
