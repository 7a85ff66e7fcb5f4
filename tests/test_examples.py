"""The ready-to-edit job files: what they run is what `tfod` understands."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tfod_kit.cli import train
from tfod_kit.training.workers import from_environment

FOLDER = Path(__file__).parent.parent / "examples" / "training"
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


def test_the_image_starts_tfod() -> None:
    lines = (FOLDER / "Dockerfile").read_text().splitlines()
    assert 'ENTRYPOINT ["tfod"]' in lines
    assert any(line.startswith("RUN pip install") and "constraints.txt" in line for line in lines)
