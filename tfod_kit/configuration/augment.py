"""Augmentations by short names, such as horizontal_flip and crop."""

from collections.abc import Sequence
from typing import Any

from tfod_kit import pipeline_config
from tfod_kit.compat import protos
from tfod_kit.errors import UsageError, did_you_mean
from tfod_kit.pipeline_config import PipelineConfig, augmentations

NONE, BASE = "none", "base"

# Name -> the steps as text of a config. The values are those of the zoo's configs.
AUGMENTATIONS = {
    "horizontal_flip": ("random_horizontal_flip { }",),
    "vertical_flip": ("random_vertical_flip { }",),
    "rotate90": ("random_rotation90 { }",),
    "crop": (
        "random_crop_image { min_object_covered: 0.0 min_aspect_ratio: 0.75 max_aspect_ratio: 3.0 "
        "min_area: 0.75 max_area: 1.0 overlap_thresh: 0.0 }",
    ),
    "ssd_crop": ("ssd_random_crop { }",),
    "scale_crop": (
        "random_scale_crop_and_pad_to_square { output_size: 512 scale_min: 0.1 scale_max: 2.0 }",
    ),
    "square_crop": ("random_square_crop_by_scale { scale_min: 0.6 scale_max: 1.3 }",),
    "pad": (
        "random_absolute_pad_image { max_height_padding: 200 max_width_padding: 200 "
        "pad_color: [0, 0, 0] }",
    ),
    "brightness": ("random_adjust_brightness { }",),
    "contrast": ("random_adjust_contrast { }",),
    "hue": ("random_adjust_hue { }",),
    "saturation": ("random_adjust_saturation { }",),
    "color": (
        "random_adjust_brightness { }",
        "random_adjust_contrast { }",
        "random_adjust_hue { }",
        "random_adjust_saturation { }",
    ),
    "gray": ("random_rgb_to_gray { }",),
    "jpeg": ("random_jpeg_quality { min_jpeg_quality: 50 max_jpeg_quality: 100 }",),
    "noise": ("random_patch_gaussian { random_coef: 0.5 max_gaussian_stddev: 0.2 }",),
    "black_patches": ("random_black_patches { }",),
    "jitter_boxes": ("random_jitter_boxes { }",),
}


def names() -> str:
    """All names, joined for a message."""
    return ", ".join([*AUGMENTATIONS, NONE, BASE])


def described(config: PipelineConfig) -> str:
    """The augmentations of a config by their short names, where they have one."""
    steps = [str(step) for step in config.train_config.data_augmentation_options]
    short = {
        str(parsed): name
        for name, texts in AUGMENTATIONS.items()
        if len(texts) == 1
        for parsed in _steps(name)
    }
    full = [
        step.WhichOneof("preprocessing_step")
        for step in config.train_config.data_augmentation_options
    ]
    return ", ".join(short.get(text, name) for text, name in zip(steps, full, strict=True)) or NONE


def set_augmentations(
    config: PipelineConfig, requested: Sequence[str] | None, *, mirrors: bool = True
) -> list[str]:
    """Replaces the augmentations by those requested, in place.

    Args:
      config: the config to change.
      requested: short names, or upstream's own such as random_jitter_boxes; "none"; "base" for
        those of the base. None keeps those of the base.
      mirrors: whether images may be flipped horizontally.

    Raises:
      UsageError: there is no such augmentation; the nearest are suggested.
    """
    options = config.train_config.data_augmentation_options
    _choose(options, requested)
    flips = [step for step in options if step.HasField("random_horizontal_flip")]
    if mirrors or not flips:
        return []
    kept = [pipeline_config.copy_of(step) for step in options if step not in flips]
    del options[:]
    options.extend(kept)
    return ["Images are not flipped horizontally, because left and right differ."]


def _choose(options: Any, requested: Sequence[str] | None) -> None:
    """Replaces the steps of a config by those requested; None keeps them."""
    if requested is None:
        return
    base = [pipeline_config.copy_of(step) for step in options]
    steps: list[Any] = []
    for name in requested:
        if name == BASE:
            steps += base
        elif name != NONE:
            steps += _steps(name)
    del options[:]
    options.extend(steps)


def _steps(name: str) -> list[Any]:
    from google.protobuf import text_format

    message = protos.load("preprocessor").PreprocessingStep
    own = message.DESCRIPTOR.fields_by_name
    if name in augmentations.UNAVAILABLE:
        raise UsageError(
            f"The augmentation {name!r} cannot run: {augmentations.UNAVAILABLE[name]}.",
            where="--augment",
            expected=names(),
            fix="Use others, such as color,crop.",
        )
    if name not in AUGMENTATIONS and name not in own:
        known = [*AUGMENTATIONS, NONE, BASE]
        parts = [other for other in known if name in other]
        near = did_you_mean(name, known)
        raise UsageError(
            f"There is no augmentation {name!r}.",
            expected=names(),
            fix=f"Use {' or '.join(parts)}."
            if parts
            else near
            if near.startswith("Did")
            else did_you_mean(name, own),
        )
    return [
        text_format.Parse(text, message()) for text in AUGMENTATIONS.get(name, (f"{name} {{ }}",))
    ]
