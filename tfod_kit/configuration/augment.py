"""Augmentations by short names, such as horizontal_flip and crop."""

from collections.abc import Sequence
from typing import Any

from tfod_kit.compat import protos
from tfod_kit.errors import UsageError, did_you_mean
from tfod_kit.pipeline_config import PipelineConfig

NONE, BASE = "none", "base"

# Name -> the steps, as they stand in a config. Figures are those of the zoo's configs.
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
    """Every name that can be asked for, as a sentence's part."""
    return ", ".join([*AUGMENTATIONS, NONE, BASE])


def set_augmentations(config: PipelineConfig, wished: Sequence[str] | None) -> list[str]:
    """Replaces the augmentations by those that are named, in place.

    Args:
      config: the config to change.
      wished: short names, or upstream's own such as random_jitter_boxes; "none"; "base" for those
        that the base has. None leaves the base's.

    Raises:
      UsageError: there is no such augmentation; the nearest are named.
    """
    if wished is None:
        return []
    options = config.train_config.data_augmentation_options
    base = [_copy(step) for step in options]
    steps: list[Any] = []
    for name in wished:
        if name == BASE:
            steps += base
        elif name != NONE:
            steps += _steps(name)
    del options[:]
    options.extend(steps)
    return []


def _steps(name: str) -> list[Any]:
    from google.protobuf import text_format

    kind = protos.load("preprocessor").PreprocessingStep
    own = kind.DESCRIPTOR.fields_by_name
    if name not in AUGMENTATIONS and name not in own:
        known = [*AUGMENTATIONS, NONE, BASE]
        parts = [other for other in known if name in other]
        near = did_you_mean(name, known)
        raise UsageError(
            f"There is no augmentation {name!r}.",
            expected=names(),
            fix=f"Take {' or '.join(parts)}."
            if parts
            else near
            if near.startswith("Did")
            else did_you_mean(name, own),
        )
    return [text_format.Parse(text, kind()) for text in AUGMENTATIONS.get(name, (f"{name} {{ }}",))]


def _copy(step: Any) -> Any:
    twin = type(step)()
    twin.CopyFrom(step)
    return twin
