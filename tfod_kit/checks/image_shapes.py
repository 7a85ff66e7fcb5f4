"""The check `image_shapes`: whether all images of a batch come to one shape."""

from collections.abc import Iterable, Iterator

from tfod_kit import pipeline_config
from tfod_kit.checks.base import Check, CheckContext, Needs
from tfod_kit.checks.findings import CheckFindings, Location
from tfod_kit.checks.scanning.facts import SplitFacts
from tfod_kit.pipeline_config.input_sizes import keeps_shapes_apart
from tfod_kit.pipeline_config.messages import PreprocessingStep

# Augmentations of upstream's preprocessor that change an image's aspect ratio.
_RESHAPING = ("crop", "pad", "resize", "rotation")


def check_image_shapes(context: CheckContext, findings: CheckFindings) -> None:
    """Finds resizers that give images of one batch different shapes."""
    config = context.config
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
    codes=("batch_of_mixed_shapes",),
    run=check_image_shapes,
    needs=Needs.MODEL,
    quick=True,
)
