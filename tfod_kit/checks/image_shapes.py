"""The check `image_shapes`: the channels of images, and whether a batch comes to one shape."""

from collections.abc import Iterable, Iterator

from tfod_kit import pipeline_config
from tfod_kit.checks.base import Check, CheckContext, Needs
from tfod_kit.checks.findings import CheckFindings, Location
from tfod_kit.checks.scanning.facts import SplitFacts
from tfod_kit.pipeline_config import PipelineConfig
from tfod_kit.pipeline_config.input_sizes import keeps_shapes_apart
from tfod_kit.pipeline_config.messages import PreprocessingStep

# Augmentations of upstream's preprocessor that change an image's aspect ratio.
_RESHAPING = ("crop", "pad", "resize", "rotation")


def check_image_shapes(context: CheckContext, findings: CheckFindings) -> None:
    """Finds resizers whose images have the wrong channels, or different shapes in one batch."""
    config = context.config
    _check_channels(config, findings)
    batch = config.train_config.batch_size
    if batch < 2 or not keeps_shapes_apart(pipeline_config.model_of(config).image_resizer):
        return
    facts = context.train
    reshaping = list(_reshaping(config.train_config.data_augmentation_options))
    shapes = _shapes(facts) if facts is not None else set()
    if len(shapes) == 1 and not reshaping:
        return  # images of one size stay images of one size
    found = reshaping[0] if reshaping else ", ".join(f"{w}x{h}" for w, h in sorted(shapes)[:3])
    findings.error(
        "batch_of_mixed_shapes",
        "The images of a batch would have different shapes: training stops with 'Cannot add "
        "tensor to the batch'.",
        Location(
            f"model.{pipeline_config.architecture(config)}.image_resizer",
            found=f"no padding, batch_size {batch}, {found or 'images of unknown sizes'}",
        ),
        fix="Set pad_to_max_dimension: true in its keep_aspect_ratio_resizer, as `tfod configure` "
        "does, use a fixed_shape_resizer, or set batch_size to 1.",
    )


def _check_channels(config: PipelineConfig, findings: CheckFindings) -> None:
    resizer = pipeline_config.model_of(config).image_resizer
    kind = resizer.WhichOneof("image_resizer_oneof")
    if kind and getattr(getattr(resizer, kind), "convert_to_grayscale", False):
        findings.error(
            "grayscale_input",
            "The images would have one channel, and the feature extractor expects three: training "
            "stops at the first step.",
            Location(
                f"model.{pipeline_config.architecture(config)}.image_resizer.{kind}",
                found="convert_to_grayscale: true",
            ),
            fix="Remove it: images are decoded to three channels, grey ones too.",
        )


def _shapes(facts: SplitFacts) -> set[tuple[int, int]]:
    return set(zip(facts.sizes[::2], facts.sizes[1::2], strict=True))


def _reshaping(options: Iterable[PreprocessingStep]) -> Iterator[str]:
    for option in options:
        name = option.WhichOneof("preprocessing_step") or ""
        if any(part in name for part in _RESHAPING):
            yield name


CHECK = Check(
    name="image_shapes",
    covers="whether the images of a batch come to one shape",
    codes=("batch_of_mixed_shapes", "grayscale_input"),
    run=check_image_shapes,
    needs=Needs.MODEL,
    quick=True,
)
