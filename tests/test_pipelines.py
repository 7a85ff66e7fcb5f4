"""The base configs under pipelines/ and those of the zoo: each trains one step under upstream."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from small_records import write_records

from tfod_kit import pipeline_config
from tfod_kit.configuration import Request, plan
from tfod_kit.io import resources
from tfod_kit.pipeline_config.validation import PLACEHOLDER
from tfod_kit.zoo import catalog

SHARED = Path(__file__).resolve().parents[2] / "shared" / "zoo" / "configs"


def test_the_catalogue_and_the_folder_agree():
    files = {path.name for path in resources.pipelines().glob("*.config")}
    assert files == {model.base for model in catalog.BASES}


@pytest.mark.parametrize("model", catalog.BASES, ids=lambda model: model.name)
def test_figures_hang_together(model):
    config = pipeline_config.load(model.base_config)
    findings = [finding.problem for finding in pipeline_config.validate(config)]
    to_fill_in = {
        "A path is still to be filled in.",
        "No label map is named.",
        "No records are named.",
    }
    assert set(findings) <= to_fill_in
    assert config.train_config.batch_size <= 32
    assert not config.train_config.fine_tune_checkpoint
    assert not config.train_config.use_bfloat16


def test_placeholders_are_the_only_paths():
    for path in resources.pipelines().glob("*.config"):
        config = pipeline_config.load(path)
        for reader in (config.train_input_reader, *config.eval_input_reader):
            for given in (reader.label_map_path, *reader.tf_record_input_reader.input_path):
                assert not given or given.startswith(PLACEHOLDER)


# Trained one step each. The zoo's configs come as they are; the bases that are the same models
# (tests/zoo/test_catalog.py) are left out then.
ZOO = sorted(SHARED.glob("*.config"))
OWN = [
    model
    for model in catalog.BASES
    if not ZOO or model.name in ("ssd_cpu", "mask_rcnn_resnet50_v1", "centernet_resnet50_v1_fpn")
]
TRAINED = [*(path.stem for path in ZOO), *(model.name for model in OWN)]


@pytest.fixture(scope="module")
def first_losses(tmp_path_factory):
    """Config -> name -> loss of its first step; one process trains them all, to start TensorFlow
    once."""
    folder = tmp_path_factory.mktemp("pipelines")
    # Upstream's glob has to cope with such a name.
    records = write_records(folder / "records [1]", keypoints=True)
    requests = {path.stem: Request(records, folder, base=path, checkpoint="none") for path in ZOO}
    requests |= {
        model.name: Request(records, folder, model.name, masks=learns_masks(model.name))
        for model in OWN
    }
    paths = []
    for name, request in requests.items():
        base = pipeline_config.load_foreign(request.base)[0] if request.base else None
        base = base or pipeline_config.load(catalog.find(name).base_config)
        small = replace(request, batch_size=2, steps=10, **smaller(base))
        paths.append(folder / f"{name}.config")
        pipeline_config.save(plan(small).config, paths[-1])
    program = Path(__file__).with_name("one_step.py")
    done = subprocess.run([sys.executable, program, *paths], capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return {
        name: losses for line in lines for name, losses in json.loads(line).items()
    }, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_one_step_under_upstream(name, first_losses):
    every, errors = first_losses
    assert name in every, errors[-3000:]
    architecture, losses = every[name]
    kinds = {"centernet": "center_net", "faster": "faster_rcnn", "mask": "faster_rcnn"}
    assert architecture == kinds.get(name.split("_")[0], "ssd")
    assert losses["Loss/total_loss"] > 0
    assert all(map(math.isfinite, losses.values()))
    assert ("Loss/BoxClassifierLoss/mask_loss" in losses) == ("mask_rcnn" in name)
    assert ("Loss/segmentation/heatmap" in losses) == (learns_masks(name) and "cent" in name)
    # Its label map names keypoints, so every CenterNet learns them.
    assert any("keypoint" in loss for loss in losses) == ("centernet" in name)


def learns_masks(name):
    """Of the own models Mask R-CNN, and CenterNet because it is asked to."""
    return name in ("mask_rcnn_resnet50_v1", "centernet_resnet50_v1_fpn")


def smaller(config):
    """Wishes for a small input: the same layers on fewer pixels and proposals."""
    name = pipeline_config.architecture(config)
    model = pipeline_config.model_of(config)
    # A BiFPN wants multiples of 128, upstream's ResNet FPN more than 128, an hourglass of 64.
    size = 256 if name == "ssd" and model.feature_extractor.HasField("bifpn") else 160
    if name == "center_net":
        size = 128
    settings = ()
    if name == "faster_rcnn":
        settings = (
            ("model.faster_rcnn.first_stage_max_proposals", "16"),
            ("model.faster_rcnn.second_stage_batch_size", "8"),
        )
    return {"input_size": (size, size), "settings": settings}
