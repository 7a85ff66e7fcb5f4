"""Images evaluated per second: `tfod evaluate` beside upstream's evaluation loop.

    python benchmarks/evaluation.py RUN [--split train]

Both measure the newest checkpoint of a trained run on the same records, each in its own process, in
turn. Three durations are reported: from the first image on, when the graphs are built; from the
config on, with building, restoring and tracing; and of the whole command. Upstream's loop is
eval_continuously, which `model_main_tf2 --checkpoint_dir` runs, without its wait for checkpoints.
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
from tfod_kit import detectors
from tfod_kit.engine import runtime
from tfod_kit.evaluation.record_files import RecordFiles
from tfod_kit.evaluation.run import measure_records
from tfod_kit.evaluation.tables import Collector
runtime.start()
from object_detection import exporter_lib_v2, model_lib_v2
run, paths, split, out = Path(sys.argv[1]), sys.argv[2].split(","), sys.argv[3], Path(sys.argv[4])
add, stamps = Collector.add, []
def stamped(*args):
    stamps.append(time.monotonic())
    return add(*args)
Collector.add = stamped
start = time.monotonic()
detector = detectors.load(run)
found = measure_records(detector, RecordFiles(tuple(map(Path, paths)), split), out)
end = time.monotonic()
average = found.metrics["DetectionBoxes_Precision/mAP"]
print("RESULT", json.dumps([end - stamps[0], end - start, found.images, average]))
"""

THEIRS = """
import json, sys, time
from tfod_kit import compat
compat.activate()
from object_detection import model_lib_v2
run, paths, _, out = sys.argv[1:]
loop, concat = model_lib_v2.eager_eval_loop, model_lib_v2.concat_replica_results
stamps, found = [], []
def stamped(values):  # called three times per image
    stamps.append(time.monotonic())
    return concat(values)
def timed(*args, **kwargs):
    metrics = loop(*args, **kwargs)
    found.append((time.monotonic(), float(metrics["DetectionBoxes_Precision/mAP"])))
    return metrics
model_lib_v2.eager_eval_loop, model_lib_v2.concat_replica_results = timed, stamped
start = time.monotonic()
model_lib_v2.eval_continuously(
    pipeline_config_path=f"{out}/pipeline.config",
    model_dir=out, checkpoint_dir=run, wait_interval=0, timeout=1)
end, average = found[0]
print("RESULT", json.dumps([end - stamps[0], end - start, len(stamps) // 3, average]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    demo = Path("work/demo/run")
    parser.add_argument("run", type=Path, nargs="?", default=demo, help="a trained run folder")
    parser.add_argument("--split", default="train")
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    if not (args.run / "pipeline.config").is_file():
        parser.error(f"{args.run} is not a run folder; `make demo` trains one")
    with tempfile.TemporaryDirectory() as named:
        out = Path(named)
        paths = prepare(args.run, args.split, out)
        times: dict[str, list[list[float]]] = {"tfod": [], "upstream": []}
        for _ in range(args.rounds):
            for name, script in (("tfod", OURS), ("upstream", THEIRS)):
                start = time.monotonic()
                loop, config, images, average = measure(script, args.run, paths, args.split, out)
                times[name].append([loop, config, time.monotonic() - start])
                print(f"{name:<9} mAP {average:.4f} on {images} images", flush=True)
    for index, what in enumerate(("from the first image on", "from the config on", "the whole")):
        ours, theirs = (
            statistics.median(row[index] for row in times[name]) for name in ("tfod", "upstream")
        )
        ratio = theirs / ours
        print(f"{what:<28} tfod {ours:6.1f} s   upstream {theirs:6.1f} s   ratio {ratio:.2f}")


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


if __name__ == "__main__":
    main()
