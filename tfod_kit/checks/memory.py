"""How much memory a training will take: estimates, and said to be such."""

from tfod_kit import pipeline_config
from tfod_kit.checks.findings import CheckFindings, Location
from tfod_kit.checks.inputs import CheckTarget
from tfod_kit.checks.scan import SplitFacts
from tfod_kit.pipeline_config import anchors

_GIB = 2**30
# Bytes of activations and gradients for each pixel of the input, as float32, by the kind of
# backbone. Measured, as the growth of a training step's peak memory with the batch size on a CPU:
# 1,340 for SSD MobileNet V2 at 300x300, 2,860 for SSD ResNet50 FPN at 640x640. The others are
# guesses from the size of the networks. A GPU's convolutions want room of their own besides.
_BYTES_PER_PIXEL = (
    ("mobilenet", 1500),
    ("efficientnet", 4000),
    ("hourglass", 10_000),
    ("inception_resnet", 7000),
    ("resnet", 3000),
)
_OTHER = 4000
_LARGER_INPUT = 1024  # px, for models that take any size
_SHARE = 0.9  # of the memory, above which it is likely not to fit
_BUFFER_SHARE = 0.25  # of the host's memory, for shuffling alone


def needed(config: pipeline_config.PipelineConfig) -> int:
    """Bytes that a step of training will take on the device, roughly."""
    model = pipeline_config.model_of(config)
    height, width = anchors.canvas(config) or (_LARGER_INPUT, _LARGER_INPUT)
    kind = model.feature_extractor.type.lower()
    each = next((size for name, size in _BYTES_PER_PIXEL if name in kind), _OTHER)
    return int(config.train_config.batch_size * height * width * each)


def check(
    target: CheckTarget,
    train: SplitFacts | None,
    host: int | None,
    device: int | None,
    findings: CheckFindings,
) -> None:
    """Compares the estimates with the machine.

    Args:
      target: with a config.
      train: the training records, for the size of the shuffle buffer.
      host: bytes of the machine's memory; None where that is not known.
      device: bytes of the GPU's memory; None where training runs on the CPU.
      findings: takes the warnings.
    """
    limit = device or host
    estimate = needed(target.config)
    batch = target.config.train_config.batch_size
    if limit is not None and estimate > _SHARE * limit:
        fits = max(int(batch * _SHARE * limit / estimate), 1)
        findings.warning(
            "memory_device",
            "A training step may not fit the memory (an estimate, right to a factor of two): "
            "'ResourceExhaustedError', or 'Killed'.",
            Location(
                "train_config.batch_size",
                found=f"{batch} takes about {estimate / _GIB:.1f} GiB, and there are "
                f"{limit / _GIB:.1f} GiB",
            ),
            fix=f"`tfod configure --batch_size {fits}`, which scales the learning rate too.",
        )
    if train is None or not train.records or host is None:
        return
    reader = target.config.train_input_reader
    held = min(reader.shuffle_buffer_size, train.records) if reader.shuffle else 0
    weight = held * train.bytes_read // train.records
    if weight > _BUFFER_SHARE * host:
        findings.warning(
            "memory_host",
            "The shuffle buffer holds much of the machine's memory: it may end with 'Killed'.",
            Location(
                "train_input_reader.shuffle_buffer_size",
                found=f"{held:,} records of {weight / max(held, 1) / 2**20:.2g} MiB are "
                f"{weight / _GIB:.1f} GiB",
            ),
            fix="Lower shuffle_buffer_size (`tfod configure` fits it to the records).",
        )
