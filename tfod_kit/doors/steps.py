"""The options of training steps, which `tfod train` and `tfod lr` share."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tfod_kit.doors import values
from tfod_kit.doors.arguments import Group, local_name, local_path, option

if TYPE_CHECKING:
    from tfod_kit.engine.pruning import Sparsity
    from tfod_kit.training.step_options import StepOptions

_STEPS = Group("steps", "how the gradients become a step")
_WEIGHTS = Group("weights", "from the config's fine_tune_checkpoint")
_SMALL = Group("small models", "for phones and boards")
_SPEED = Group("speed and memory")
_INPUT = Group("input")
_MIXING = Group(
    "mixed images",
    "for the first 80% of the steps, each image with this probability; a resumed training goes on "
    "with those it had",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepArguments:
    """The options that affect each step of a training."""

    batch_size: int | Literal["auto"] | None = option(
        None,
        "images at a time, or as many as fit the GPU (default: the config's); the learning rate "
        "follows",
        parse=values.auto_or_count,
        metavar="N|auto",
        group=_STEPS,
    )
    accumulate: int = option(
        1,
        "batches to a step: N times the images without their memory",
        parse=values.count,
        metavar="N",
        group=_STEPS,
    )
    freeze: tuple[str, ...] = option(
        (),
        "do not train the variables whose name matches; repeatable",
        parse=values.pattern,
        repeat=True,
        metavar="REGEX",
        group=_STEPS,
    )
    ema: float | None = option(
        None,
        "average the weights, such as 0.999; the averages are measured and exported",
        parse=values.decay,
        metavar="DECAY",
        group=_STEPS,
    )
    clip_norm: float | None = option(
        None,
        "the gradients' largest norm; 0 for no limit",
        parse=values.not_negative,
        metavar="X",
        group=_STEPS,
    )
    clip_value: float | None = option(
        None,
        "the largest number in a gradient",
        parse=values.not_negative,
        metavar="X",
        group=_STEPS,
    )
    seed: int | None = option(
        None, "of everything that is random", parse=values.whole, metavar="N", group=_STEPS
    )
    deterministic: bool = option(
        False,
        "the same numbers every time, at the price of speed (seed 0 unless --seed)",
        group=_STEPS,
    )
    restore: Literal["all", "backbone"] = option(
        "all",
        "all: everything that fits, with the class layers by class name; backbone: the feature "
        "extractor, as upstream",
        choices=("all", "backbone"),
        group=_WEIGHTS,
    )
    checkpoint_label_map: Path | None = option(
        None,
        "the label map that the checkpoint was trained with (default: looked for beside it)",
        parse=local_path,
        metavar="FILE",
        group=_WEIGHTS,
    )
    quantise: bool = option(
        False,
        "train with 8-bit weights and tensors; `tfod export --target tflite` then writes int8 "
        "without calibration. SSD (EfficientDet included) and CenterNet",
        group=_SMALL,
    )
    prune: float | Literal["2:4"] | None = option(
        None,
        "set this share of the weights to zero, such as 0.8, or two of each four input channels "
        "(2:4), so that the zipped model is smaller",
        parse=values.sparsity,
        metavar="SHARE|2:4",
        group=_SMALL,
    )
    precision: Literal["float32", "bfloat16", "float16"] = option(
        "float32",
        "what the network computes in; float16, with loss scaling, on a GPU",
        choices=("float32", "bfloat16", "float16"),
        group=_SPEED,
    )
    xla: bool = option(False, "compile the step with XLA", group=_SPEED)
    input_workers: int | None = option(
        None,
        "threads that read and augment (default: one for each core)",
        parse=values.count,
        metavar="N",
        group=_INPUT,
    )
    cache: str | None = option(
        "auto",
        "decode each image once, and keep them in memory, or in files that begin with PATH; auto: "
        "in memory if they need at most a quarter of it; none: decode them again in each epoch",
        metavar="auto|none|memory|PATH",
        group=_INPUT,
        parse=local_name,
    )
    mosaic: float | None = option(
        None,
        "four images, each cropped to a part of one",
        parse=values.share,
        metavar="P",
        group=_MIXING,
    )
    mixup: float | None = option(
        None,
        "the weighted mean of two images",
        parse=values.share,
        metavar="P",
        group=_MIXING,
    )
    copy_paste: float | None = option(
        None,
        "objects of another image, cut out by their masks",
        parse=values.share,
        metavar="P",
        group=_MIXING,
    )


def step_options(arguments: StepArguments) -> "StepOptions":
    """What the training engine takes for these options."""
    from tfod_kit.engine.fine_tuning import RestoreOptions
    from tfod_kit.training.mixing import MixingOptions
    from tfod_kit.training.step_options import StepOptions

    return StepOptions(
        batch_size=arguments.batch_size,
        accumulate=arguments.accumulate,
        precision=arguments.precision,
        xla=arguments.xla,
        ema=arguments.ema,
        freeze=arguments.freeze,
        clip_norm=arguments.clip_norm,
        clip_value=arguments.clip_value,
        seed=arguments.seed,
        deterministic=arguments.deterministic,
        input_workers=arguments.input_workers,
        cache=None if arguments.cache == "none" else arguments.cache,
        mixing=MixingOptions(arguments.mosaic, arguments.mixup, arguments.copy_paste),
        restore=RestoreOptions(arguments.restore, arguments.checkpoint_label_map),
        quantise=arguments.quantise,
        prune=_sparsity(arguments.prune),
    )


def _sparsity(given: float | Literal["2:4"] | None) -> "Sparsity | None":
    from tfod_kit.engine.pruning import GROUPED, Sparsity

    if given is None:
        return None
    return GROUPED if isinstance(given, str) else Sparsity(given)
