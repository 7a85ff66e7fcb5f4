"""Pictures evaluated per second: `tfod evaluate` beside upstream's evaluation loop.

    python benchmarks/evaluation.py RUN [--split train]

Both measure the newest checkpoint of a trained run on the same records, each in a process of its
own, by turns. The loop is everything from the built model to the figures: reading, detecting (with
the tracing of its graph) and measuring. The whole also holds imports, building and restoring.
Upstream's loop is the one that `model_main_tf2 --checkpoint_dir` runs (eval_continuously), without
its waiting for the next checkpoint.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OURS = """
import json, sys, time
from pathlib import Path
from tfod_kit.cli import evaluate
from tfod_kit.engine import detector as detectors
run, paths, split, out = Path(sys.argv[1]), sys.argv[2].split(","), sys.argv[3], Path(sys.argv[4])
detector = detectors.load(run)
start = time.monotonic()
found = evaluate.measure(detector, [Path(path) for path in paths], split, out)
seconds = time.monotonic() - start
print("RESULT", json.dumps([seconds, found.images, found.metrics["DetectionBoxes_Precision/mAP"]]))
"""

THEIRS = """
import json, sys, time
from tfod_kit import compat
compat.activate()
from object_detection import model_lib_v2
run, paths, _, out = sys.argv[1:]
loop, taken = model_lib_v2.eager_eval_loop, []
def timed(*args, **kwargs):
    start = time.monotonic()
    found = loop(*args, **kwargs)
    taken.append([time.monotonic() - start, found["DetectionBoxes_Precision/mAP"]])
    return found
model_lib_v2.eager_eval_loop = timed
model_lib_v2.eval_continuously(
    pipeline_config_path=f"{out}/pipeline.config",
    model_dir=out, checkpoint_dir=run, wait_interval=0, timeout=1)
print("RESULT", json.dumps([taken[0][0], None, float(taken[0][1])]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="a trained run folder")
    parser.add_argument("--split", default="train")
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as named:
        out = Path(named)
        paths = prepare(args.run, args.split, out)
        loops: dict[str, list[float]] = {"tfod": [], "upstream": []}
        wholes: dict[str, list[float]] = {"tfod": [], "upstream": []}
        count = 0
        for _ in range(args.rounds):
            for name, script in (("tfod", OURS), ("upstream", THEIRS)):
                start = time.monotonic()
                seconds, images, average = measure(script, args.run, paths, args.split, out)
                wholes[name].append(time.monotonic() - start)
                loops[name].append(seconds)
                count = images or count
                print(f"{name:<9} mAP {average:.4f}, the loop {seconds:.1f} s", flush=True)
    report(f"the loop, {count} pictures", loops)
    report("the whole command", wholes)


def prepare(run: Path, split: str, out: Path) -> str:
    """A copy of the config that evaluates on the split; returns the record files, by commas."""
    from tfod_kit import pipeline_config
    from tfod_kit.records import shards

    config = pipeline_config.load(run / pipeline_config.FILE_NAME)
    reader = config.eval_input_reader[0].tf_record_input_reader
    paths = [str(path) for path in shards.bases(Path(reader.input_path[0]).parent)[split]]
    del reader.input_path[:]
    reader.input_path.extend(paths)
    pipeline_config.save(config, out / pipeline_config.FILE_NAME)
    return ",".join(paths)


def measure(script: str, run: Path, paths: str, split: str, out: Path) -> list:
    done = subprocess.run(
        [sys.executable, "-c", script, str(run), paths, split, str(out)],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    found = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not found:
        sys.exit(done.stdout)
    return json.loads(found[0].removeprefix("RESULT "))


def report(what: str, seconds: dict[str, list[float]]) -> None:
    ours, theirs = (statistics.median(seconds[name]) for name in ("tfod", "upstream"))
    print(f"{what:<28} tfod {ours:6.1f} s   upstream {theirs:6.1f} s   ratio {theirs / ours:.2f}")


if __name__ == "__main__":
    main()
