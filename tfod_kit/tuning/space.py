"""What `tfod tune` may change of a config: the table DIMENSIONS."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tfod_kit import pipeline_config
from tfod_kit.configuration import augment, edits, recipe
from tfod_kit.errors import UsageError, did_you_mean
from tfod_kit.pipeline_config import PipelineConfig
from tfod_kit.pipeline_config.input_sizes import input_sizes

Value = float | str

BASE = "as configured"
_NONE = "none"
_SIZES = (0.75, 1.0, 1.25, 1.5)  # of the configured sides
_AVERAGES = ("0.99", "0.999")
# Presets of short names; those that flip are left out if the config does not flip, because left and
# right may differ in its images.
_AUGMENTATIONS = (
    (_NONE,),
    ("horizontal_flip",),
    ("horizontal_flip", "color"),
    ("horizontal_flip", "crop"),
    ("horizontal_flip", "crop", "color"),
    ("color",),
    ("crop",),
    ("crop", "color"),
)


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`, equally likely on a logarithmic scale."""

    low: float
    high: float


Choices = Range | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dimension:
    """One thing that may be changed.

    Attributes:
      changes: what it changes, in a few words.
      choices: the values for a config; None if its model does not have it.
      baseline: the value that leaves a config as it is.
      apply: sets a value in a config, in place.
    """

    changes: str
    choices: Callable[[PipelineConfig], Choices | None]
    baseline: Callable[[PipelineConfig], Value]
    apply: Callable[[PipelineConfig, Value], None]


def _different(
    config: PipelineConfig, values: Sequence[str], apply: Callable[[PipelineConfig, Value], None]
) -> tuple[str, ...]:
    """BASE, and the values that change something: the others would be tried twice."""
    changing = []
    for value in dict.fromkeys(values):
        changed = pipeline_config.copy_of(config)
        apply(changed, value)
        if changed != config:
            changing.append(value)
    return (BASE, *changing)


def _rates(config: PipelineConfig) -> Choices:
    rate = pipeline_config.learning_rate(config)
    return Range(rate / 10, rate * 5)


def _set_rate(config: PipelineConfig, value: Value) -> None:
    pipeline_config.set_learning_rate(config, float(value))


def _augmentations(config: PipelineConfig) -> Choices:
    options = config.train_config.data_augmentation_options
    flips = any(step.HasField("random_horizontal_flip") for step in options)
    presets = [names for names in _AUGMENTATIONS if ("horizontal_flip" in names) == flips]
    names = [_NONE, *map(",".join, presets)]
    return _different(config, names, _set_augmentations)


def _set_augmentations(config: PipelineConfig, value: Value) -> None:
    if value != BASE:
        augment.set_augmentations(config, str(value).split(","))


def _anchors(config: PipelineConfig) -> Choices | None:
    if pipeline_config.architecture(config) != "ssd":
        return None
    kind = config.model.ssd.anchor_generator.WhichOneof("anchor_generator_oneof")
    known = kind in ("multiscale_anchor_generator", "ssd_anchor_generator")
    return Range(0.5, 1.5) if known else None


def _scale_anchors(config: PipelineConfig, value: Value) -> None:
    generator = config.model.ssd.anchor_generator
    if generator.HasField("multiscale_anchor_generator"):
        generator.multiscale_anchor_generator.anchor_scale *= float(value)
        return
    settings = generator.ssd_anchor_generator
    settings.min_scale = min(settings.min_scale * float(value), settings.max_scale)


def _freezing(config: PipelineConfig) -> Choices | None:
    kind = pipeline_config.model_of(config).feature_extractor.type
    if kind not in recipe.EARLY_BLOCKS or not config.train_config.fine_tune_checkpoint:
        return None
    return _different(config, [_NONE, "early"], _set_freezing)


def _set_freezing(config: PipelineConfig, value: Value) -> None:
    if value == BASE:
        return
    kind = pipeline_config.model_of(config).feature_extractor.type
    config.train_config.freeze_variables[:] = recipe.EARLY_BLOCKS[kind] if value == "early" else ()


def _input_sizes(config: PipelineConfig) -> Choices | None:
    sides = _sides(config)
    if sides is None:
        return None
    model = pipeline_config.model_of(config)
    accepted = input_sizes(pipeline_config.architecture(config), model.feature_extractor)
    unit = max(accepted.unit, 32)
    found = {sides}
    for factor in _SIZES:
        scaled = tuple(unit * max(1, round(side * factor / unit)) for side in sides)
        if all(map(accepted.fits, scaled)):
            found.add((scaled[0], scaled[1]))
    return tuple(f"{height}x{width}" for height, width in sorted(found, key=math.prod))


def _sides(config: PipelineConfig) -> tuple[int, int] | None:
    """Height and width of the input, or the shorter and the longer side, px."""
    resizer = pipeline_config.model_of(config).image_resizer
    kind = resizer.WhichOneof("image_resizer_oneof")
    if kind == "fixed_shape_resizer":
        return resizer.fixed_shape_resizer.height, resizer.fixed_shape_resizer.width
    if kind == "keep_aspect_ratio_resizer":
        limits = resizer.keep_aspect_ratio_resizer
        return limits.min_dimension, limits.max_dimension
    return None


def _configured_size(config: PipelineConfig) -> Value:
    height, width = _sides(config) or (0, 0)
    return f"{height}x{width}"


def _set_input_size(config: PipelineConfig, value: Value) -> None:
    height, width = map(int, str(value).split("x"))
    if (height, width) != _sides(config):
        edits.set_input_size(config, (height, width))


def _averages(config: PipelineConfig) -> Choices:
    return tuple(dict.fromkeys((str(_configured_average(config)), _NONE, *_AVERAGES)))


def _configured_average(config: PipelineConfig) -> Value:
    optimizer = config.train_config.optimizer
    return f"{optimizer.moving_average_decay:g}" if optimizer.use_moving_average else _NONE


def _set_average(config: PipelineConfig, value: Value) -> None:
    optimizer = config.train_config.optimizer
    optimizer.use_moving_average = value != _NONE
    if value != _NONE:
        optimizer.moving_average_decay = float(value)


DIMENSIONS: Mapping[str, Dimension] = {
    "rate": Dimension(
        "the highest learning rate, a tenth to five times of the configured",
        _rates,
        pipeline_config.learning_rate,
        _set_rate,
    ),
    "augment": Dimension(
        "the augmentations", _augmentations, lambda config: BASE, _set_augmentations
    ),
    "anchors": Dimension(
        "the size of an SSD's anchors, 0.5 to 1.5 of the configured",
        _anchors,
        lambda config: 1.0,
        _scale_anchors,
    ),
    "freeze": Dimension(
        "whether the first blocks of pretrained weights are trained",
        _freezing,
        lambda config: BASE,
        _set_freezing,
    ),
    "input_size": Dimension(
        "the input size, 0.75 to 1.5 of the configured",
        _input_sizes,
        _configured_size,
        _set_input_size,
    ),
    "ema": Dimension(
        "the decay of the weights' average", _averages, _configured_average, _set_average
    ),
}


def select(config: PipelineConfig, names: tuple[str, ...]) -> tuple[dict[str, Choices], list[str]]:
    """The values to choose from for a config.

    Args:
      config: the config of the run.
      names: of DIMENSIONS; empty for all.

    Returns:
      The values of each dimension, and the names that are left out because the model does not have
      them.

    Raises:
      UsageError: there is no such dimension, or none is left.
    """
    for name in names:
        if name not in DIMENSIONS:
            raise UsageError(f"There is nothing {name!r} to search.", where="--search",
                             fix=did_you_mean(name, DIMENSIONS))  # fmt: skip
    space: dict[str, Choices] = {}
    left_out = []
    for name in names or DIMENSIONS:
        choices = DIMENSIONS[name].choices(config)
        if choices is None or (isinstance(choices, tuple) and len(choices) < 2):
            left_out.append(name)
        else:
            space[name] = choices
    if not space:
        raise UsageError(
            "This model has nothing of what is to be searched.",
            where="--search",
            expected=", ".join(DIMENSIONS),
            found=", ".join(names),
            fix="Name others, such as rate.",
        )
    return space, left_out


def baseline(config: PipelineConfig, space: Mapping[str, Choices]) -> dict[str, Value]:
    """The values that leave a config as it is."""
    return {name: DIMENSIONS[name].baseline(config) for name in space}


def applied(config: PipelineConfig, values: Mapping[str, Value]) -> PipelineConfig:
    """A copy of a config with the values of a trial. Values as configured change nothing."""
    changed = pipeline_config.copy_of(config)
    for name, value in values.items():
        if value != DIMENSIONS[name].baseline(config):
            DIMENSIONS[name].apply(changed, value)
    return changed
