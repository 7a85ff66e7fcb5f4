"""Trains the weights that `ssd_cpu` starts from, on drawn images alone, and writes them.

    python tools/embedded_start.py --out work/start

draws 5,000 images of invented objects (tools/drawn_objects.py), trains `ssd_cpu` on them from
random weights, and writes the weights, without the state of the optimiser, to
pipelines/ssd_mobilenet_v2_cpu. It takes half an hour on two cores. docs/recipe.md has what they
gain.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import drawn_objects

from tfod_kit import pipeline_config
from tfod_kit.core import labels
from tfod_kit.engine import model as models
from tfod_kit.engine import runtime
from tfod_kit.zoo import catalog

IMAGES = 5000
SIDE = 192  # px
STEPS = 2600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("work/start"))
    parser.add_argument("--run", type=Path, help="only write the weights of this trained run")
    args = parser.parse_args()
    run = args.run or trained(args.out)
    write_weights(run, catalog.find("ssd_cpu").own_weights)


def trained(out: Path) -> Path:
    """Draws the images and trains on them; returns the run."""
    images, records, run = out / "images", out / "records", out / "run"
    if not images.is_dir():
        drawn_objects.write(images, IMAGES)
    tfod("convert", images, "--out", records)
    tfod(
        *("configure", "ssd_cpu", "--checkpoint", "none", "--records", records, "--out", run),
        *("--input_size", SIDE, "--anchors", "keep", "--steps", STEPS),
        *("--augment", "horizontal_flip,ssd_crop", "--overwrite"),
    )
    tfod("train", run, "--seed", 0, "--no_evaluate")
    return run


def write_weights(run: Path, prefix: Path) -> None:
    """Writes the newest weights of a run as a checkpoint of the model alone."""
    tf = runtime.start()
    config = pipeline_config.load(run / pipeline_config.FILE_NAME)
    model = models.build(config, is_training=False)
    models.create_variables(model, SIDE)
    checkpoint = tf.train.Checkpoint(model=model)
    newest = tf.train.latest_checkpoint(str(run))
    checkpoint.restore(newest).expect_partial().assert_existing_objects_matched()
    prefix.parent.mkdir(exist_ok=True)
    checkpoint.save_counter.assign(0)  # upstream's own restoring expects it
    print(checkpoint.write(str(prefix)))
    labels.save(labels.from_names(drawn_objects.NAMES), prefix.parent / labels.FILE_NAME)


def tfod(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "tfod_kit", *map(str, arguments)], check=True)


if __name__ == "__main__":
    main()
