"""MLflow and Weights & Biases themselves, installed in an environment on top of this one.

A training sends everything to an MLflow server and, without a network, to files of W&B.
"""

import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import extra_packages
import pytest
from small_records import NAMES, write_records
from tfod import ENVIRONMENT, small_model

pytestmark = pytest.mark.slow

STEPS = 3


@pytest.fixture(scope="module")
def python() -> list[str]:
    return extra_packages.python(*extra_packages.TRACKERS)


@pytest.fixture(scope="module")
def server(python: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an MLflow server."""
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    store += ["--artifacts-destination", str(folder / "artefacts")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*python, *words, *store], cwd=folder, stdout=log, stderr=log, env=ENVIRONMENT,
            start_new_session=True,
        )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/health", timeout=5)
                break
            except OSError:
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(0.5)
        yield address
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


@pytest.fixture(scope="module")
def run(python: list[str], server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was trained with all trackers."""
    folder = tmp_path_factory.mktemp("tracked")
    small_model(write_records(folder / "records"), folder / "run")
    words = ["train", str(folder / "run"), "--steps", str(STEPS), "--summary_every", "1"]
    log = ["--log", f"tensorboard,mlflow={server},wandb=squares", "--no_check"]
    done = subprocess.run(
        [*python, "-m", "tfod_kit", *words, *log], capture_output=True, text=True, env=ENVIRONMENT
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "WARNING" not in done.stderr, done.stderr
    assert "nothing was sent. To send it: wandb sync" in done.stderr
    assert list((folder / "run" / "train").glob("events.*"))
    return folder / "run"


def _ask(python: list[str], program: str, *arguments: object) -> Any:
    """What a program prints last, as JSON."""
    words = [*python, "-W", "ignore", "-c", program, *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def _reference(run: Path, tracker: str) -> str:
    return str(json.loads((run / "tracking.json").read_text())[tracker])


_STORED = """
import json, sys, mlflow
client = mlflow.MlflowClient(tracking_uri=sys.argv[1])
run = client.get_run(sys.argv[2])
curve = client.get_metric_history(sys.argv[2], "Loss/total_loss")
print(json.dumps({
    "status": run.info.status, "name": run.info.run_name, "params": run.data.params,
    "metrics": run.data.metrics, "curve": [[point.step, point.value] for point in curve],
    "files": [item.path for item in client.list_artifacts(sys.argv[2])],
}))
"""


def test_mlflow_has_settings_curves_evaluations_and_files(
    python: list[str], server: str, run: Path
) -> None:
    stored, _ = _ask(python, _STORED, server, _reference(run, "mlflow"))
    assert stored["status"] == "FINISHED"
    assert stored["name"] == "run"
    assert stored["params"]["batch_size"] == "4"
    assert stored["params"]["config/model.ssd.num_classes"] == str(len(NAMES))
    assert stored["params"]["command"].startswith("tfod train")
    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    losses = [[p["step"], p["losses"]["Loss/total_loss"]] for p in history if p["kind"] == "train"]
    assert stored["curve"] == losses
    assert len(losses) == STEPS
    assert "val/DetectionBoxes_Precision/mAP" in stored["metrics"]
    names = {"pipeline.config", "run.json", "report.html", "history_train.csv", "augmented.jpg"}
    assert names <= set(stored["files"])


_MODEL = """
import json, sys, mlflow, numpy as np
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(f"runs:/{sys.argv[2]}/model")
image = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
import tfod_kit
(there,) = model.predict([image])
(here,) = tfod_kit.load(sys.argv[3], checkpoint="best").detect([image])
print(json.dumps([len(there), [repr(each) for each in there] == [repr(each) for each in here]]))
"""


def test_the_model_loads_from_mlflow_and_detects_the_same(
    python: list[str], server: str, run: Path
) -> None:
    (count, same), _ = _ask(python, _MODEL, server, _reference(run, "mlflow"), run)
    assert count > 0
    assert same


# The file is a log of LevelDB (https://github.com/google/leveldb/blob/main/doc/log_format.md) after
# a header of 7 bytes; wandb itself reads it in Go.
_OFFLINE = """
import json, sys
from pathlib import Path
from wandb.proto import wandb_internal_pb2 as pb
seen = {"history": [], "config": [], "artefacts": [], "project": ""}
def records(content):
    at, parts = 7, b""
    while at + 7 <= len(content):
        if at % 32768 > 32768 - 7:
            at += -at % 32768
            continue
        length, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        parts += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield parts
            parts = b""
for data in records(Path(sys.argv[1]).read_bytes()):
    record = pb.Record()
    record.ParseFromString(data)
    kind = record.WhichOneof("record_type")
    if kind == "history":
        items = record.history.item
        seen["history"].append(sorted(item.key or "/".join(item.nested_key) for item in items))
    elif kind == "run":
        seen["project"] = record.run.project
        seen["config"] = sorted(item.key for item in record.run.config.update)
    elif kind == "artifact":
        seen["artefacts"].append(record.artifact.type)
print(json.dumps(seen))
"""


def test_wandb_writes_all_of_it_into_the_run_folder(python: list[str], run: Path) -> None:
    (file,) = (run / "wandb").glob("offline-run-*/*.wandb")
    assert _reference(run, "wandb") in file.name
    stored, _ = _ask(python, _OFFLINE, file)
    assert stored["project"] == "squares"
    assert "batch_size" in stored["config"]
    losses = [keys for keys in stored["history"] if "Loss/total_loss" in keys]
    assert len(losses) == STEPS
    assert any("val/DetectionBoxes_Precision/mAP" in keys for keys in stored["history"])
    assert "model" in stored["artefacts"]


_CONTINUED = """
import sys
from pathlib import Path
from tfod_kit import tracking
trackers = tracking.select((f"mlflow={sys.argv[1]}",))
trackers.start(tracking.TrackedRun(Path(sys.argv[2]), "run", {"batch_size": "8", "new": "1"}))
trackers.scalars(9, {"Loss/total_loss": 1.5, "mAP@.50/a cat": 0.5})
trackers.close(failed=True)
print("[]")
"""


def test_a_resumed_training_continues_the_run_in_mlflow(
    python: list[str], server: str, run: Path, tmp_path: Path
) -> None:
    (tmp_path / "tracking.json").write_text((run / "tracking.json").read_text())
    _, errors = _ask(python, _CONTINUED, server, tmp_path)
    assert "WARNING" not in errors
    stored, _ = _ask(python, _STORED, server, _reference(run, "mlflow"))
    assert stored["curve"][-1] == [9, 1.5]
    assert stored["metrics"]["mAP_.50/a cat"] == 0.5
    assert stored["status"] == "FAILED"
    assert (stored["params"]["batch_size"], stored["params"]["new"]) == ("4", "1")


def test_a_server_that_cannot_be_reached_is_one_warning(python: list[str], tmp_path: Path) -> None:
    _, errors = _ask(python, _CONTINUED, "http://127.0.0.1:9", tmp_path)
    assert errors.count("WARNING: the tracker mlflow failed, and the training goes on") == 1
    assert "Traceback" not in errors
