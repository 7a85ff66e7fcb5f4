"""Options of a training beyond its config, and their effect on the config.

Options for which the config has a field are written into a copy of it, so that the settings of a
training are in one place; training/step.py uses the others.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from tfod_kit import pipeline_config
from tfod_kit.engine import quantisation, runtime
from tfod_kit.engine.fine_tuning import RestoreOptions
from tfod_kit.engine.pruning import Sparsity
from tfod_kit.errors import UsageError
from tfod_kit.pipeline_config import PipelineConfig
from tfod_kit.training.mixing import MixingOptions

AUTO = "auto"

Precision = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True, slots=True)
class StepOptions:
    """How to take the steps; by default as the config states.

    Attributes:
      batch_size: images that go through the model at a time, over all replicas; AUTO for as many
        as fit a GPU (training/batch_size.py), None for the config's. The learning rate is scaled
        with the number of images in a step.
      accumulate: the number of batches whose gradients are combined into one optimiser step.
      precision: the type in which the network computes. Weights and losses stay float32.
      xla: compile the step with XLA.
      ema: the decay of the averaged weights, which are measured and exported.
      freeze: regular expressions of variables to freeze, in addition to the config's
        freeze_variables; see training/freezing.py.
      clip_norm: the largest global norm of the gradients; 0 for no limit.
      clip_value: the largest absolute value in a gradient.
      seed: of the weights, the order of the images and the augmentation.
      deterministic: two trainings with one seed give the same numbers; this is slower.
      input_workers: threads that read and augment; None for one per core.
      cache: cache the decoded images in "memory", or in files whose names start with this path;
        "auto" for in memory if they fit (dataset.settled); None decodes them in each epoch.
      mixing: with which probabilities images are mixed before the config's augmentations.
      restore: what to restore from the checkpoint to fine-tune.
      quantise: compute with 8-bit weights and tensors, as TensorFlow Lite will.
      prune: the zeros among the weights to aim at; see engine/pruning.py.
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
    mixing: MixingOptions = field(default_factory=MixingOptions)
    restore: RestoreOptions = field(default_factory=RestoreOptions)
    quantise: bool = False
    prune: Sparsity | None = None


def applied(options: StepOptions, config: PipelineConfig) -> PipelineConfig:
    """Applies the options to a copy of a config. To be done once, because it scales rates.

    Raises:
      ValueError: the batch size is AUTO; batch_size.settled replaces it.
    """
    if isinstance(options.batch_size, str):
        raise ValueError("the batch size is not settled")
    changed = pipeline_config.copy_of(config)
    training, reader = changed.train_config, changed.train_input_reader
    size = options.batch_size or training.batch_size
    factor = size * options.accumulate / training.batch_size
    training.batch_size = size
    if factor != 1:  # as `tfod configure --batch_size` does (Goyal et al., arXiv:1706.02677)
        pipeline_config.scale_learning_rate(changed, factor)
    if options.ema is not None:
        training.optimizer.use_moving_average = True
        training.optimizer.moving_average_decay = options.ema
    patterns = dict.fromkeys([*training.freeze_variables, *options.freeze])
    training.freeze_variables[:] = list(patterns)
    if options.clip_norm is not None:
        training.gradient_clipping_by_norm = options.clip_norm
    if options.xla:
        # XLA needs static shapes: each image gets the same number of boxes, padded with weight 0,
        # as in upstream's configs for TPUs.
        training.unpad_groundtruth_tensors = False
    if options.input_workers is not None:
        reader.num_readers = options.input_workers
    return changed


def prepare(options: StepOptions) -> None:
    """Applies the options that are global to the process; call it before building anything.

    Raises:
      UsageError: this machine does not support an option.
    """
    tf = runtime.start()
    if options.seed is not None or options.deterministic:
        tf.keras.utils.set_random_seed(options.seed or 0)
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()
    _set_precision(tf, options.precision)


def check(options: StepOptions, config: PipelineConfig) -> None:
    """Checks that the model supports the options.

    Raises:
      UsageError: it does not.
    """
    tf = runtime.start()
    architecture = pipeline_config.architecture(config)
    if options.quantise:
        quantisation.check(architecture, "--quantise")
    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    if options.precision == "bfloat16" and on_gpu and architecture == "faster_rcnn":
        raise UsageError(
            "Faster and Mask R-CNN do not compute in bfloat16 on a GPU.",
            found="upstream uses tf.image.crop_and_resize, which does not support bfloat16",
            fix="Use --precision float16.",
        )


def _set_precision(tf: Any, precision: Precision) -> None:
    """Enables TensorFlow's graph rewrite if there is one for the precision.

    It knows which operations tolerate a lower precision, and works for every model. On a GPU it
    supports float16 only; bfloat16 is Keras's policy there.
    """
    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    if precision == "float16":
        if not on_gpu:
            raise UsageError(
                "float16 is for GPUs, and TensorFlow sees none.",
                found=runtime.describe_devices(),
                fix="Use --precision float32; `tfod doctor` reports why a GPU is not used.",
            )
        tf.config.optimizer.set_experimental_options({"auto_mixed_precision": True})
    elif precision == "bfloat16" and on_gpu:
        tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    elif precision == "bfloat16":
        tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": True})
