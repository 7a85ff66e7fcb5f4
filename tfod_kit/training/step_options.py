"""What a training can be told beyond its config: the levers, and what they make of the config.

Those that a config has a field for are written into (a copy of) it, so that there is one place
where a training's settings stand; the others are kept here for engine/step.py.
"""

from dataclasses import dataclass
from typing import Any, Literal

from tfod_kit import pipeline_config
from tfod_kit.engine import runtime
from tfod_kit.errors import UsageError

AUTO = "auto"

Precision = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True, slots=True)
class Levers:
    """How to take the steps; what is left alone is as the config says.

    Attributes:
      batch_size: images that go through the model at a time, over all replicas; AUTO for as many
        as fit a GPU (engine/batch_size.py), None for the config's. The learning rate follows the
        images of a step.
      accumulate: batches whose gradients make one optimiser step.
      precision: what the network computes in. Weights and losses stay float32.
      xla: compile the step with XLA.
      ema: the decay of the averaged weights that are measured and exported.
      freeze: regular expressions of variables that shall not change, besides the config's
        freeze_variables; see engine/freezing.py.
      clip_norm: the largest global norm of the gradients; 0 for none.
      clip_value: the largest size of one number of a gradient.
      seed: for the weights, the order of the images and the augmentation.
      deterministic: two trainings with one seed give the same numbers, and are slower.
      input_workers: threads that read and augment; None = one for each core.
      cache: keep the decoded pictures in "memory", or in files with this path's beginning.
    """

    batch_size: int | Literal["auto"] | None = None
    accumulate: int = 1
    precision: Precision = "float32"
    xla: bool = False
    ema: float | None = None
    freeze: tuple[str, ...] = ()
    clip_norm: float | None = None
    clip_value: float | None = None
    seed: int | None = None
    deterministic: bool = False
    input_workers: int | None = None
    cache: str | None = None


def applied(levers: Levers, config: Any) -> Any:
    """A copy of the pipeline config as the levers have it. To be done once: rates are scaled.

    Raises:
      ValueError: the batch size is still to be found (batch_size.settled).
    """
    if isinstance(levers.batch_size, str):
        raise ValueError("the batch size is not settled")
    made = pipeline_config.copy_of(config)
    training, reader = made.train_config, made.train_input_reader
    size = levers.batch_size or training.batch_size
    factor = size * levers.accumulate / training.batch_size
    training.batch_size = size
    if factor != 1:  # as `tfod configure --batch_size` does (Goyal et al., arXiv:1706.02677)
        pipeline_config.scale_learning_rate(made, factor)
    if levers.ema is not None:
        training.optimizer.use_moving_average = True
        training.optimizer.moving_average_decay = levers.ema
    patterns = dict.fromkeys([*training.freeze_variables, *levers.freeze])
    training.freeze_variables[:] = list(patterns)
    if levers.clip_norm is not None:
        training.gradient_clipping_by_norm = levers.clip_norm
    if levers.xla:
        # XLA wants shapes that are known beforehand: boxes padded to one number an image, with a
        # weight of zero, as upstream's configs for TPUs have it.
        training.unpad_groundtruth_tensors = False
    if levers.input_workers is not None:
        reader.num_readers = levers.input_workers
    return made


def prepare(levers: Levers) -> None:
    """Sets up what TensorFlow knows for the whole process; before anything is built.

    Raises:
      UsageError: this machine cannot do it.
    """
    tf = runtime.start()
    if levers.seed is not None or levers.deterministic:
        tf.keras.utils.set_random_seed(levers.seed or 0)
    if levers.deterministic:
        tf.config.experimental.enable_op_determinism()
    _set_precision(tf, levers.precision)


def check(levers: Levers, config: Any) -> None:
    """Sees that the model can do what the levers ask of it.

    Raises:
      UsageError: it cannot.
    """
    tf = runtime.start()
    kind = config.model.WhichOneof("model")
    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    if levers.precision == "bfloat16" and on_gpu and kind == "faster_rcnn":
        raise UsageError(
            "Faster and Mask R-CNN do not compute in bfloat16 on a GPU.",
            found="upstream cuts proposals out by tf.image.crop_and_resize, which has no bfloat16",
            fix="Take --precision float16.",
        )


def _set_precision(tf: Any, precision: Precision) -> None:
    """The graph rewrite where there is one: it knows which operations bear a lower precision, and
    serves every model. On a GPU it makes float16 alone; bfloat16 is Keras's policy there."""
    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    if precision == "float16":
        if not on_gpu:
            raise UsageError(
                "float16 is for GPUs, and TensorFlow sees none.",
                found=runtime.describe_devices(),
                fix="Take --precision bfloat16 on a CPU, where it pays; `tfod doctor` tells why a "
                "GPU is not used.",
            )
        tf.config.optimizer.set_experimental_options({"auto_mixed_precision": True})
    elif precision == "bfloat16" and on_gpu:
        tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    elif precision == "bfloat16":
        tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": True})
