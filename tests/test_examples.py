"""The ready-to-edit job files: what they run is what `tfod` understands."""

import argparse
import base64
import io
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from tfod_kit.cli import train
from tfod_kit.core import labels
from tfod_kit.training.workers import from_environment

FOLDER = Path(__file__).parent.parent / "examples" / "training"
ROOT = FOLDER.parent.parent
WORKERS = 4


def kubernetes() -> list[dict[str, Any]]:
    """The containers of the TFJob, one for each pod, the chief's first."""
    job = yaml.safe_load((FOLDER / "tfjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("kubeflow.org/v1", "TFJob")
    replicas = job["spec"]["tfReplicaSpecs"]
    assert list(replicas) == ["Chief", "Worker"]  # the operator's names for them
    containers = []
    for spec in replicas.values():
        pod = spec["template"]["spec"]
        (container,) = pod["containers"]
        assert container["name"] == "tensorflow"  # else the operator gives it no TF_CONFIG
        (volume,) = pod["volumes"]
        (mount,) = container["volumeMounts"]
        assert mount["name"] == volume["name"]
        assert container["args"][1].startswith(mount["mountPath"] + "/")
        containers += [container] * spec["replicas"]
    return containers


def vertex() -> list[dict[str, Any]]:
    """The containers of the Vertex AI job, one for each machine, the chief's first."""
    pools = yaml.safe_load((FOLDER / "vertex.yaml").read_text())["workerPoolSpecs"]
    assert pools[0]["replicaCount"] == 1  # pool 0 is the chief, and there is one
    for pool in pools:
        assert pool["machineSpec"]["acceleratorCount"] >= 1
        assert pool["containerSpec"]["imageUri"]
    return [pool["containerSpec"] for pool in pools for _ in range(pool["replicaCount"])]


@pytest.mark.parametrize("containers", [kubernetes, vertex])
def test_every_pod_runs_a_training_that_tfod_understands(containers: Any) -> None:
    found = containers()
    assert len(found) == WORKERS
    for container in found:
        verb, *arguments = container["args"]
        assert verb == "train"
        parser = argparse.ArgumentParser(exit_on_error=False)
        train.register(parser)
        parsed = parser.parse_args(arguments)
        assert parsed.checkpoint_every == 500
        assert parsed.workers is None  # the cluster tells


@pytest.mark.parametrize("place", range(WORKERS))
def test_the_cluster_that_both_set_is_found(place: int) -> None:
    """TF_CONFIG with a chief and workers, as their documentation shows it."""
    hosts = [f"detector-{n}:2222" for n in range(WORKERS)]
    task = {"type": "worker", "index": place - 1} if place else {"type": "chief", "index": 0}
    document = {"cluster": {"chief": hosts[:1], "worker": hosts[1:]}, "task": task}
    found = from_environment({"TF_CONFIG": json.dumps(document)})
    assert found is not None
    assert (found.workers, found.index, found.leads) == (tuple(hosts), place, place == 0)


def test_the_client_of_tensorflow_serving_sends_images_upright(tmp_path: Path) -> None:
    """The server's `encoded` signature ignores the EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(tmp_path / "photo.jpg", exif=exif)
    labels.save(labels.from_names(["cat", "dog"]), tmp_path / "label_map.pbtxt")
    sent: list[Any] = []

    class Serving(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            row = {"classes": [2, 1], "scores": [0.75, 0.25], "boxes": [[0, 0, 1, 1]] * 2}
            found = {f"detection_{name}": values for name, values in row.items()}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"predictions": [found]}).encode())

    with HTTPServer(("127.0.0.1", 0), Serving) as server:
        threading.Thread(target=server.handle_request).start()
        script = FOLDER.parent / "serving" / "ask_tf_serving.py"
        done = subprocess.run(
            [
                *(sys.executable, script, tmp_path / "photo.jpg"),
                *("--label_map", tmp_path / "label_map.pbtxt"),
                *("--address", f"http://127.0.0.1:{server.server_port}/v1/models/detector"),
            ],
            capture_output=True,
            text=True,
        )
    assert done.stdout.split()[:2] == ["dog", "0.75"], done.stderr
    assert "cat" not in done.stdout
    (request,) = sent
    assert request["signature_name"] == "encoded"
    data = base64.b64decode(request["instances"][0]["image_bytes"]["b64"])
    assert Image.open(io.BytesIO(data)).size == (20, 40)
