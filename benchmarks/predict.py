"""Pictures per second: `tfod predict` beside the loop of every tutorial, on one SavedModel.

    python benchmarks/predict.py [--export FOLDER] [--images 300] [--size 640x480] [--rounds 3]

Both look at the same JPEGs, by turns, each in a process of its own, and draw and save each. The
tutorial's loop is that of upstream's notebooks: open, tf.convert_to_tensor, detect_fn,
visualize_boxes_and_labels_on_image_array, save. Counted is the time after the model is loaded and
has run once. Without --export, a small SSD is trained for some steps and exported first. Exits with
1 when `tfod predict` is less than twice as fast.
"""

import argparse
import random
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageFilter

TFOD = (sys.executable, "-m", "tfod_kit")
LEAST = 2.0

TUTORIAL = """
import sys, time
from pathlib import Path
import numpy as np
from PIL import Image
from tfod_kit import compat
compat.activate()
import tensorflow as tf
from object_detection.utils import label_map_util, visualization_utils
export, pictures, out = map(Path, sys.argv[1:])
names = label_map_util.create_category_index_from_labelmap(str(export / "label_map.pbtxt"))
detect_fn = tf.saved_model.load(str(export / "saved_model"))

def look(path):
    image = np.array(Image.open(path))
    tensor = tf.convert_to_tensor(image)[tf.newaxis, ...]
    found = detect_fn(tensor)
    count = int(found.pop("num_detections")[0])
    found = {name: value[0, :count].numpy() for name, value in found.items()}
    visualization_utils.visualize_boxes_and_labels_on_image_array(
        image, found["detection_boxes"], found["detection_classes"].astype(np.int64),
        found["detection_scores"], names, use_normalized_coordinates=True,
        max_boxes_to_draw=200, min_score_thresh=0.5, agnostic_mode=False)
    Image.fromarray(image).save(out / path.name)

paths = sorted(pictures.iterdir())
out.mkdir()
look(paths[0])
start = time.perf_counter()
for path in paths:
    look(path)
print("RATE", len(paths) / (time.perf_counter() - start))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--export", type=Path, help="what `tfod export` wrote")
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    with tempfile.TemporaryDirectory() as named:
        folder = Path(named)
        export = args.export or exported(folder)
        draw_pictures(folder, args.images, (width, height))
        ours, theirs = [], []
        for number in range(args.rounds):
            theirs.append(tutorial(export, folder, number))
            ours.append(tfod(export, folder, number))
    ratio = statistics.median(ours) / statistics.median(theirs)
    print(
        f"{args.images} images of {args.size}, median of {args.rounds}: "
        f"tfod predict {statistics.median(ours):.1f} images/s, "
        f"tutorial {statistics.median(theirs):.1f} images/s, ratio {ratio:.2f}"
    )
    return int(ratio < LEAST)


def exported(folder: Path, *options: str) -> Path:
    run(*TFOD, "demo", "--out", folder / "data", "--images", 300)
    run(*TFOD, "convert", folder / "data", "--out", folder / "records")
    run(
        *(*TFOD, "configure", "ssd_cpu", "--records", folder / "records"),
        *("--out", folder / "run", "--steps", 300),
    )
    run(*TFOD, "train", folder / "run", "--no_evaluate")
    run(*TFOD, "export", folder / "run", "--out", folder / "export", *options)
    return folder / "export"


def draw_pictures(folder: Path, count: int, size: tuple[int, int]) -> None:
    """The demo's shapes as photographs: scaled up, with grain, as JPEG."""
    run(*TFOD, "demo", "--out", folder / "shapes", "--images", min(count, 100))
    sources = sorted((folder / "shapes").rglob("*.jpg"))
    grain = Image.effect_noise((size[0] // 2, size[1] // 2), 40).convert("RGB").resize(size)
    (folder / "pictures").mkdir()
    dice = random.Random(1)
    for number in range(count):
        with Image.open(dice.choice(sources)) as shapes:
            large = shapes.convert("RGB").resize(size).filter(ImageFilter.SMOOTH)
        picture = Image.blend(large, grain, 0.15)
        picture.save(folder / "pictures" / f"{number:05}.jpg", quality=90)


def tutorial(export: Path, folder: Path, number: int) -> float:
    printed = run(
        *(sys.executable, "-c", TUTORIAL, export, folder / "pictures"), folder / f"their-{number}"
    )
    return float(printed.partition("RATE ")[2])


def tfod(export: Path, folder: Path, number: int) -> float:
    printed = run(
        *(*TFOD, "predict", export, folder / "pictures", "--out", folder / f"our-{number}")
    )
    return float(re.findall(r"detecting: .*?([\d.e+]+) images/s", printed)[-1])


def run(*command: object) -> str:
    done = subprocess.run(
        list(map(str, command)), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        sys.exit(done.stdout)
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
