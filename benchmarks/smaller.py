"""Ways to a smaller or faster model than a trained one, at equal steps.

    python benchmarks/smaller.py work/fpnlite --records work/records --steps 300 --seeds 3

RUN is a trained SSD MobileNet V2 FPNLite, from which each model is trained on: as it is, with a
smaller input, pruned (`tfod train --prune`), and narrower: its most important channels become the
weights of the same model with a smaller depth_multiplier. The narrow model from random weights
shows what they are worth. Prints the medians of mAP on the test split, or on val if there is none,
and the size, the zipped size and the latency under LiteRT (float32) of the first seed's model.

The importance of a channel is the size of what it adds: the scale that batch normalisation gives it
(Liu et al., arXiv:1708.06519) times the norm of the weights that read it.
"""

import argparse
import re
import statistics
import sys
import zlib
from collections import defaultdict
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from quantise import benchmarked
from recipe import evaluated, tfod

from tfod_kit import pipeline_config
from tfod_kit.engine import model as engine_model
from tfod_kit.engine import restore, runtime
from tfod_kit.runs import checkpoints

BLOCK = re.compile(r"block_(\d+)_(expand|depthwise|project)")
PYRAMID = re.compile(r"top_down/projection_(\d)|top_down/smoothing|bottom_up_Conv2d")
READ_BY_PYRAMID = {"1": "block5", "2": "block12", "3": "last"}  # the block that a projection reads

# Options of `tfod configure`, and of `tfod train`.
Setting: TypeAlias = tuple[tuple[object, ...], tuple[object, ...]]


def main() -> None:
    args = parsed()
    args.out.mkdir(parents=True, exist_ok=True)
    columns = ("model", "runs", "mAP", "mAP@.50", "MB", "MB zipped", "ms a call")
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for name, setting in settings(args).items():
        folder = args.out / re.sub(r"\W+", "_", name)
        rows = [trained(args, folder / f"seed{seed}", seed, setting) for seed in range(args.seeds)]
        middle = [statistics.median(column) for column in zip(*rows, strict=True)]
        size, zipped, latency = exported(args, folder / "seed0")
        print(
            f"| {name} | {len(rows)} | {middle[0]:.3f} | {middle[1]:.3f} | {size:.1f} "
            f"| {zipped:.1f} | {latency:.1f} |",
            flush=True,
        )


def settings(args: argparse.Namespace) -> dict[str, Setting]:
    """For each way the options of `tfod configure` and of `tfod train`."""
    full = ("--base", args.run / pipeline_config.FILE_NAME, "--checkpoint", args.run)
    cut_out = args.out / "channels"
    narrow(args.run, args.multiplier, cut_out)
    # The first blocks are trained too: they changed, or are new.
    narrowed = ("--base", cut_out / pipeline_config.FILE_NAME, "--freeze", "none")
    return {
        "trained on": (full, ()),
        f"{args.input_size} px": ((*full, "--input_size", args.input_size), ()),
        **{f"pruned {share}": (full, ("--prune", share)) for share in args.prune},
        f"width x{args.multiplier:g}": ((*narrowed, "--checkpoint", cut_out), ()),
        f"width x{args.multiplier:g}, random weights": ((*narrowed, "--checkpoint", "none"), ()),
    }


def narrow(run: Path, multiplier: float, out: Path) -> None:
    """Writes the checkpoint of the narrow model, and beside it the label map of the run."""
    tf = runtime.start()
    config = pipeline_config.load(run / pipeline_config.FILE_NAME)
    side = config.model.ssd.image_resizer.fixed_shape_resizer.height
    full = built(config, side)
    with restore.matched(full, checkpoints.resolve(run)):
        pass
    smaller = pipeline_config.copy_of(config)
    smaller.model.ssd.feature_extractor.depth_multiplier = multiplier
    small = built(smaller, side)
    values = {name: variable.numpy() for name, variable in restore.named_variables(full)}
    own = dict(restore.named_variables(small))
    named = {name: role(variable.name) for name, variable in own.items()}
    counts = {
        stream: own[name].shape[axis]
        for name, axes in named.items()
        for axis, stream in axes.items()
    }
    scores = importances(values, named)
    kept = {
        stream: np.sort(np.argsort(-scores[stream])[:count]) for stream, count in counts.items()
    }
    for name, variable in own.items():
        value = values[name]
        for axis, stream in named[name].items():
            value = np.take(value, kept[stream], axis=axis)
        variable.assign(value)
    out.mkdir(parents=True, exist_ok=True)
    tf.train.Checkpoint(model=small).save(str(out / "ckpt"))
    label_map = Path(config.train_input_reader.label_map_path)
    (out / "label_map.pbtxt").write_bytes(label_map.read_bytes())
    pipeline_config.save(smaller, out / pipeline_config.FILE_NAME)


def built(config: Any, side: int) -> Any:
    model = engine_model.build(config, is_training=False)
    engine_model.create_variables(model, side)
    return model


def role(name: str) -> dict[int, str]:
    """The axes of a variable that are channels of a stream; streams that are added are one.

    Args:
      name: the name of the Keras variable, as `block_3_expand/kernel:0`.
    """
    kind = name.rpartition("/")[2].removesuffix(":0")
    reads, writes = flow(name)
    if kind in ("kernel", "pointwise_kernel"):
        axes = {2: reads, 3: writes}
    elif kind == "depthwise_kernel":
        axes = {2: reads}
    else:
        axes = {0: writes}
    return {axis: stream for axis, stream in axes.items() if stream}


def flow(name: str) -> tuple[str, str]:
    """The streams that a layer reads and writes; empty for those that keep their size."""
    if name.startswith(("Conv1/", "bn_Conv1/")):
        return "", "first"
    if name.startswith("expanded_conv_project"):
        return "first", "block0"
    if name.startswith("expanded_conv"):
        return "first", "first"
    if name.startswith("Conv_1"):
        return "block16", "last"
    if match := BLOCK.match(name):
        block, layer = int(match[1]), match[2]
        before, inside, after = stage(block - 1), f"inside{block}", stage(block)
        return {
            "expand": (before, inside),
            "depthwise": (inside, inside),
            "project": (inside, after),
        }[layer]
    if match := PYRAMID.search(name):
        return READ_BY_PYRAMID.get(match[1] or "", "pyramid"), "pyramid"
    return ("pyramid", "") if "PredictionTower/conv2d_0/" in name and "kernel" in name else ("", "")


def stage(block: int) -> str:
    """The blocks of a stage add to one stream, which has the name of its last block."""
    return f"block{next(last for last in (0, 2, 5, 9, 12, 15, 16) if block <= last)}"


def importances(values: dict[str, Any], named: dict[str, dict[int, str]]) -> dict[str, Any]:
    """For each stream the importance of its channels."""
    scales: dict[str, Any] = defaultdict(float)
    readers: dict[str, Any] = defaultdict(float)
    for name, axes in named.items():
        value = values[name]
        if name.endswith("gamma"):
            for stream in axes.values():
                scales[stream] = scales[stream] + np.abs(value)
        elif 2 in axes and value.shape[-1] > 1:  # not depthwise
            others = tuple(axis for axis in range(value.ndim) if axis != 2)
            readers[axes[2]] = readers[axes[2]] + np.sqrt((value**2).sum(axis=others))
    return {stream: scales[stream] * readers[stream] for stream in readers}


def trained(
    args: argparse.Namespace, run: Path, seed: int, setting: Setting
) -> tuple[float, float]:
    """mAP and mAP@.50 of the model of a setting."""
    configure, train = setting
    where = ("--records", args.records, "--out", run, "--overwrite", "--brief")
    tfod("configure", *configure, "--anchors", "keep", *where, "--steps", args.steps)
    tfod("train", run, "--resume", "never", "--seed", seed, "--no_evaluate", *train)
    split = "test" if list(args.records.glob("test-*")) else "val"
    found = evaluated(run, run / "smaller", "--split", split)
    print(run, *found, file=sys.stderr, flush=True)
    return found


def exported(args: argparse.Namespace, run: Path) -> tuple[float, float, float]:
    """The size in MB, plain and zipped, and the latency in ms of a run's model for LiteRT."""
    out = run / "tflite"
    tfod("export", run, "--target", "tflite", "--quantise", "float32", "--out", out, "--no_parity")
    latency = benchmarked(out, args.records)["latency_ms"]["p50"]
    content = (out / "model.tflite").read_bytes()
    return len(content) / 1e6, len(zlib.compress(content, 6)) / 1e6, latency


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="a trained FPNLite")
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--multiplier", type=float, default=0.75)
    parser.add_argument("--input_size", type=int, default=256, help="px")
    parser.add_argument("--prune", nargs="*", default=["0.5", "0.8", "2:4"])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("work/smaller"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
