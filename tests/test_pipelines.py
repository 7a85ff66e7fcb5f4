"""The base configs under pipelines/: each builds upstream's model and trains one step."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from small_records import write_records

from tfod_kit import pipeline_config, resources
from tfod_kit.configure import Request, plan
from tfod_kit.pipeline_config.validation import PLACEHOLDER
from tfod_kit.zoo import catalog


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


@pytest.fixture(scope="module")
def first_losses(tmp_path_factory):
    """Model -> name -> loss of its first step; one process trains them all, to start TensorFlow
    once."""
    folder = tmp_path_factory.mktemp("pipelines")
    records = write_records(folder / "records [1]")  # upstream's glob has to cope with that
    paths = []
    for model in catalog.BASES:
        settings = tuple(smaller(pipeline_config.load(model.base_config)))
        request = Request(records, folder, model.name, batch_size=2, steps=10, settings=settings)
        paths.append(folder / f"{model.name}.config")
        pipeline_config.save(plan(request).config, paths[-1])
    program = Path(__file__).with_name("one_step.py")
    done = subprocess.run([sys.executable, program, *paths], capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return {
        name: losses for line in lines for name, losses in json.loads(line).items()
    }, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("model", catalog.BASES, ids=lambda model: model.name)
def test_one_step_under_upstream(model, first_losses):
    every, errors = first_losses
    assert model.name in every, errors[-3000:]
    losses = every[model.name]
    assert losses["Loss/total_loss"] > 0
    assert all(map(math.isfinite, losses.values()))
    assert ("Loss/BoxClassifierLoss/mask_loss" in losses) == model.masks


def smaller(config):
    """Settings for a small input: the same layers on fewer pixels and proposals."""
    name = pipeline_config.architecture(config)
    model = pipeline_config.model_of(config)
    # A BiFPN wants multiples of 128, upstream's ResNet FPN more than 128.
    size = 256 if name == "ssd" and model.feature_extractor.HasField("bifpn") else 160
    resizer = model.image_resizer.WhichOneof("image_resizer_oneof")
    fixed = resizer == "fixed_shape_resizer"
    for side in ("height", "width") if fixed else ("min_dimension", "max_dimension"):
        yield f"model.{name}.image_resizer.{resizer}.{side}", str(size)
    if name == "faster_rcnn":
        yield "model.faster_rcnn.first_stage_max_proposals", "16"
        yield "model.faster_rcnn.second_stage_batch_size", "8"
