"""Quality of a short training beside upstream's own, or beside another detector's, in one run.

    python benchmarks/recipe_peers.py DATA --zoo ARCHIVE --config UPSTREAM_CONFIG --steps 500
    python benchmarks/recipe_peers.py DATA --ultralytics --minutes 5

DATA is a folder that `tfod convert` reads. With --config, the weights of ARCHIVE are fine-tuned
for the same number of steps by `tfod train` with its defaults and by upstream's model_main_tf2
with UPSTREAM_CONFIG, in which only what has to change is changed: the classes, the paths, the
batch size and the number of steps. Upstream restores as its checkpoint type "detection" does: the
feature extractor alone.

With --ultralytics, `ssd_cpu` is trained for so many minutes from the kit's own weights, which have
seen drawn objects alone, with --random also from random weights; and so is Ultralytics' yolo11n
(from its YAML file, so without weights; 320 px, batch size 8), in an environment that the script
makes in OUT/ultralytics-env. Its package has the AGPL licence and is not part of the kit.

Both are measured on the test split, or on val where there is none: ours and upstream's by
`tfod evaluate`, Ultralytics' by its own validation, which also gives COCO's mAP at 101 points of
recall. With several seeds, the medians follow. Run it on an idle machine.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from recipe import converted, evaluated, tfod

from tfod_kit import pipeline_config

ULTRALYTICS = "ultralytics==8.4.190"
PEER = """
import json, sys
from ultralytics import YOLO
data, project, minutes, split, seed = sys.argv[1:]
model = YOLO("yolo11n.yaml")
model.train(data=data, time=float(minutes) / 60, imgsz=320, batch=8, device="cpu", workers=2,
            seed=int(seed), project=project, name="train", exist_ok=True, pretrained=False,
            plots=False, verbose=False)
box = model.val(data=data, split=split, imgsz=320, device="cpu", plots=False).box
print("RESULT " + json.dumps([box.map, box.map50]))
"""


@dataclass(frozen=True, slots=True)
class Result:
    """What a training reached: COCO's mAP, mAP@.50, and the seconds it took."""

    name: str
    metrics: tuple[float, float]
    seconds: float


def main() -> None:
    args = parsed()
    records = converted(args.data, args.out / "records" / args.data.name)
    split = "test" if list(records.glob("test-*")) else "val"
    rows = []
    for seed in range(args.seeds):
        out = args.out / "beside" / args.data.name / f"seed{seed}"
        if args.config:
            model = ("fpnlite", "--zoo", args.zoo, "--steps", args.steps)
            rows.append(ours(records, out / "tfod", model, ("--seed", seed), split))
            rows.append(upstream(records, out / "upstream", args, split))
        if args.ultralytics:
            length = ("--minutes", args.minutes, "--seed", seed)
            rows.append(ours(records, out / "own", ("ssd_cpu",), length, split))
            if args.random:
                model = ("ssd_cpu", "--checkpoint", "none")
                rows.append(ours(records, out / "random", model, length, split))
            rows.append(ultralytics(out / "ultralytics", args, split, seed))
    print(f"| {args.data.name}, {split} | mAP | mAP@.50 | seconds |\n|---|---|---|---|")
    show(rows)
    if args.seeds > 1:
        show(medians(rows))


def show(rows: list[Result]) -> None:
    for row in rows:
        print(f"| {row.name} | {row.metrics[0]:.3f} | {row.metrics[1]:.3f} | {row.seconds:.0f} |")


def medians(rows: list[Result]) -> list[Result]:
    """One row for each name."""
    result = []
    for name in dict.fromkeys(row.name for row in rows):
        values = [(*row.metrics, row.seconds) for row in rows if row.name == name]
        mean, at_half, seconds = map(statistics.median, zip(*values, strict=True))
        result.append(Result(f"{name}, median", (mean, at_half), seconds))
    return result


def ours(
    records: Path, run: Path, model: tuple[object, ...], training: tuple[object, ...], split: str
) -> Result:
    """The defaults of `tfod configure` for a model, and of `tfod train`."""
    where = ("--records", records, "--out", run, "--overwrite", "--brief")
    tfod("configure", *model, *where)
    began = time.monotonic()
    tfod("train", run, "--resume", "never", *training)
    seconds = time.monotonic() - began
    name = f"tfod_kit, {model[0]}" + (" from random weights" if "none" in model else "")
    return Result(name, evaluated(run, run / "beside", "--split", split), seconds)


def upstream(records: Path, run: Path, args: argparse.Namespace, split: str) -> Result:
    """model_main_tf2 with its own config; it takes 100 steps at a time, and saves when told."""
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir(parents=True)
    config = pipeline_config.load(args.config)
    label_map = records / "label_map.pbtxt"
    pipeline_config.model_of(config).num_classes = label_map.read_text("utf-8").count("item {")
    training = config.train_config
    training.batch_size, training.num_steps = args.batch_size, args.steps
    (weights,) = (args.zoo / "checkpoint").glob("ckpt-*.index")
    training.fine_tune_checkpoint = str(weights.with_suffix(""))
    training.fine_tune_checkpoint_type = "detection"
    evaluated_on = config.eval_input_reader[0]
    for reader, name in ((config.train_input_reader, "train"), (evaluated_on, split)):
        reader.label_map_path = str(label_map)
        files = [str(path) for path in sorted(records.glob(f"{name}-*.tfrecord"))]
        reader.tf_record_input_reader.input_path[:] = files
    pipeline_config.save(config, run / pipeline_config.FILE_NAME)
    began = time.monotonic()
    tfod(
        *("run", "model_main_tf2", "--", f"--model_dir={run}", f"--num_train_steps={args.steps}"),
        f"--pipeline_config_path={run / pipeline_config.FILE_NAME}",
        *(f"--checkpoint_every_n={args.steps}", "--alsologtostderr"),
    )
    seconds = time.monotonic() - began
    # The config names the measured split as what it evaluates.
    return Result("upstream, its own config", evaluated(run, run / "beside"), seconds)


def ultralytics(out: Path, args: argparse.Namespace, split: str, seed: int) -> Result:
    """Ultralytics' yolo11n from nothing, on the same images, measured by its own validation."""
    data = args.out / "yolo" / args.data.name
    if not data.is_dir():
        tfod("convert", args.data, "--to", "yolo", "--out", data)
    python = environment(args.out / "ultralytics-env")
    began = time.monotonic()
    done = subprocess.run(
        [python, "-c", PEER, data / "data.yaml", out, str(args.minutes), split, str(seed)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "YOLO_CONFIG_DIR": str(out), "PYTHONPATH": ""},
    )
    found = re.search(r"^RESULT (.*)$", done.stdout, re.MULTILINE)
    if not found:
        sys.exit(done.stdout)
    mean, at_half = json.loads(found[1])
    return Result("Ultralytics, yolo11n", (mean, at_half), time.monotonic() - began)


def environment(folder: Path) -> Path:
    """The interpreter of an environment with Ultralytics; made if it is not there."""
    python = folder / "bin" / "python"
    if not (folder / "ready").is_file():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run(
            [python, "-m", "pip", "install", "-q", ULTRALYTICS, "opencv-python-headless"],
            check=True,
        )
        (folder / "ready").touch()
    return python.absolute()


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="a folder of annotated images")
    parser.add_argument("--zoo", type=Path, help="the weights' archive, unpacked")
    parser.add_argument("--config", type=Path, help="upstream's config for them")
    parser.add_argument("--steps", type=int, default=500, help="a multiple of 100")
    parser.add_argument("--batch_size", type=int, default=8, help="of upstream's config")
    parser.add_argument("--ultralytics", action="store_true", help="train yolo11n beside ssd_cpu")
    parser.add_argument("--random", action="store_true", help="ssd_cpu from random weights too")
    parser.add_argument("--minutes", type=float, default=5.0, help="with --ultralytics")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("work/recipe"))
    args = parser.parse_args()
    if bool(args.config) != bool(args.zoo) or not (args.config or args.ultralytics):
        parser.error("expected --zoo with --config, or --ultralytics, or all three")
    return args


if __name__ == "__main__":
    main()
