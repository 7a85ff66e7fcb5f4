"""Resizing outside of the model equals the model's own."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfod_kit import pipeline_config
from tfod_kit.detectors import input_size, resize

SIZES = [
    ((480, 640), (320, 320)),
    ((320, 320), (320, 320)),
    ((37, 61), (128, 96)),
    ((1, 1), (16, 16)),
    ((3000, 40), (32, 100)),
    ((40, 9000), (300, 7)),  # rows of many pixels
    ((2500, 1700), (640, 640)),  # several strips
]


@pytest.mark.parametrize("has_exact_remap", [True, False])
@pytest.mark.parametrize(("before", "after"), SIZES)
def test_sampling_an_image_is_rounded_bilinear_resizing(
    before: tuple[int, int],
    after: tuple[int, int],
    has_exact_remap: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not has_exact_remap:
        monkeypatch.setattr(resize, "_exact_remap", lambda: None)
    pixels = np.random.default_rng(1).integers(0, 256, (*before, 3), dtype=np.uint8)
    sampled = resize.sampled(Image.fromarray(pixels), *after)
    assert (sampled.dtype, sampled.shape) == (np.uint8, (*after, 3))
    expected = resize.bilinear(pixels, *after)
    assert np.abs(sampled - expected).max() <= 0.5 + 1e-3


def test_sampling_needs_no_memory_of_the_images_size() -> None:
    import tracemalloc

    image = Image.new("RGB", (6000, 4000))
    tracemalloc.start()
    resize.sampled(image, 640, 640)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16e6


def config(resizer: str) -> pipeline_config.PipelineConfig:
    return pipeline_config.loads(f"model {{ ssd {{ image_resizer {{ {resizer} }} }} }}")


FIXED = "fixed_shape_resizer { height: 300 width: 500 }"
KEPT = "keep_aspect_ratio_resizer { min_dimension: 600 max_dimension: 1024 }"


@pytest.mark.parametrize(
    ("resizer", "entry", "sizes"),
    [
        (FIXED, {"height": 300, "width": 500}, {(10, 20): (300, 500), (2000, 10): (300, 500)}),
        (
            KEPT,
            {"min_dimension": 600, "max_dimension": 1024},
            {(480, 640): (600, 800), (640, 480): (800, 600), (300, 1200): (256, 1024)},
        ),
    ],
)
def test_the_input_size_of_a_config_and_of_an_export(
    tmp_path: Path,
    resizer: str,
    entry: dict[str, int],
    sizes: dict[tuple[int, int], tuple[int, int]],
) -> None:
    assert input_size.as_entry(config(resizer)) == entry
    described, upstreams = tmp_path / "described", tmp_path / "upstreams"
    described.mkdir()
    (described / "model.json").write_text(json.dumps({"resized_to": entry}))
    upstreams.mkdir()
    pipeline_config.save(config(resizer), upstreams / "pipeline.config")
    for rule in (
        input_size.of_config(config(resizer)),
        input_size.of_folder(described),
        input_size.of_folder(upstreams),
    ):
        assert rule is not None
        assert {size: rule(*size) for size in sizes} == sizes
        # The model leaves an image of that size as it is.
        assert {size: rule(*size) for size in sizes.values()} == {s: s for s in sizes.values()}


@pytest.mark.parametrize(
    "resizer",
    [
        "identity_resizer {}",
        "fixed_shape_resizer { height: 300 width: 300 resize_method: NEAREST_NEIGHBOR }",
        "conditional_shape_resizer { condition: GREATER size_threshold: 300 }",
    ],
)
def test_resizers_that_only_the_model_can_apply(resizer: str) -> None:
    assert input_size.of_config(config(resizer)) is None


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        '{"resized_to": {}}',
        '{"resized_to": {"height": 300}}',
        '{"resized_to": {"height": 300, "width": -1}}',
        '{"resized_to": {"height": 300, "width": 1e99}}',
        '{"resized_to": {"height": 300, "width": true}}',
        '{"resized_to": {"height": 300, "width": 99999999999}}',
    ],
)
def test_a_damaged_description_states_no_size(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.json").write_text(text)
    assert input_size.of_folder(tmp_path) is None
