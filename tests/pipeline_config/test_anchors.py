"""anchors: the same as upstream's, and a fit that is the best over all of them."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tfod_kit import pipeline_config
from tfod_kit.io import resources
from tfod_kit.pipeline_config import anchors

# Each kind of generator, with the feature maps that upstream's models have at that input.
CASES = {
    "ssd_mobilenet_v2_cpu.config": (192, 192, [(24, 24), (12, 12), (6, 6), (3, 3)]),
    "ssd_mobilenet_v2.config": (300, 400, [(19, 25), (10, 13), (5, 7), (3, 4), (2, 2), (1, 1)]),
    "ssd_resnet50_v1_fpn.config": (640, 600, [(80, 75), (40, 38), (20, 19), (10, 10), (5, 5)]),
    "faster_rcnn_resnet50_v1.config": (640, 512, [(40, 32)]),
}  # fmt: skip
_UPSTREAM = """
import json, sys
from tfod_kit import compat, pipeline_config
from tfod_kit.io import resources
compat.activate()
from object_detection.builders import anchor_generator_builder
for name, (height, width, maps) in json.loads(sys.argv[1]).items():
    model = pipeline_config.model_of(pipeline_config.load(resources.pipelines() / name))
    faster = hasattr(model, "first_stage_anchor_generator")
    made = anchor_generator_builder.build(
        model.first_stage_anchor_generator if faster else model.anchor_generator)
    maps = [tuple(size) for size in maps]
    boxes = made.generate(maps) if faster else made.generate(maps, im_height=height, im_width=width)
    print(json.dumps([[name, part.get().numpy().round(5).tolist()] for part in boxes]))
"""


def _config(name: str) -> pipeline_config.PipelineConfig:
    return pipeline_config.load(resources.pipelines() / name)


@pytest.mark.slow
def test_the_anchors_are_upstreams() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _UPSTREAM, json.dumps(CASES)],
        capture_output=True,
        text=True,
        check=True,
    )
    theirs = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[[")]
    assert len(theirs) == len(CASES)
    for (name, (height, width, maps)), parts in zip(CASES.items(), theirs, strict=True):
        ours = anchors.grids(_config(name), height, width)
        assert [(grid.rows, grid.columns) for grid in ours] == maps, name
        unit = (1, 1, 1, 1) if "faster" in name else (height, width, height, width)
        for grid, (_, boxes) in zip(ours, parts, strict=True):
            made = anchors.corners(grid) / unit
            np.testing.assert_allclose(made, boxes, atol=1e-3, err_msg=name)


@pytest.mark.parametrize("name", CASES)
def test_the_best_fit_is_that_over_all_anchors(name: str) -> None:
    height, width, _ = CASES[name]
    made = anchors.grids(_config(name), height, width)
    dice = np.random.default_rng(0)
    start = dice.uniform(0, 0.7, (40, 2)) * (height, width)
    boxes = np.concatenate([start, start + dice.uniform(4, 150, (40, 2))], axis=1)
    every = np.concatenate([anchors.corners(grid) for grid in made])
    low = np.maximum(boxes[:, None, :2], every[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], every[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    areas = [(part[:, 2:] - part[:, :2]).prod(axis=1) for part in (boxes, every)]
    overlaps = shared / (areas[0][:, None] + areas[1][None] - shared)
    np.testing.assert_allclose(anchors.best_overlaps(boxes, made), overlaps.max(axis=1), atol=1e-6)


def test_the_anchors_inside_are_those_that_upstream_does_not_prune() -> None:
    height, width, _ = CASES["faster_rcnn_resnet50_v1.config"]
    made = anchors.grids(_config("faster_rcnn_resnet50_v1.config"), height, width)
    every = np.concatenate([anchors.corners(grid) for grid in made])
    fits = (every[:, :2] >= 0).all(axis=1) & (every[:, 2:] <= (height, width)).all(axis=1)
    left = np.concatenate([anchors.corners(grid) for grid in anchors.inside(made, height, width)])
    assert sorted(map(tuple, left.round(3))) == sorted(map(tuple, every[fits].round(3)))
    assert 0 < len(left) < len(every)


def test_a_model_without_anchors() -> None:
    config = _config("centernet_resnet50_v1_fpn.config")
    assert anchors.grids(config, 512, 512) == ()
    assert anchors.best_overlaps([[0, 0, 9, 9]], ()).tolist() == [0]


def test_pictures_at_the_models_input() -> None:
    sizes = [(1000, 500), (300, 600)]
    fixed = anchors.input_sizes(_config("ssd_mobilenet_v2_cpu.config"), sizes)
    assert fixed.tolist() == [[192, 192], [192, 192]]
    config = _config("faster_rcnn_resnet50_v1.config")
    kept = config.model.faster_rcnn.image_resizer.keep_aspect_ratio_resizer
    kept.min_dimension, kept.max_dimension = 400, 600
    assert anchors.input_sizes(config, sizes).tolist() == [[600, 300], [300, 600]]
    assert anchors.canvas(config) == (600, 600)
