"""The check `memory`: estimates of how much memory a training will need."""

from tfod_kit import pipeline_config
from tfod_kit.checks.base import Check, CheckContext, Needs
from tfod_kit.checks.findings import CheckFindings, Location
from tfod_kit.checks.scanning.facts import SplitFacts
from tfod_kit.io import hardware
from tfod_kit.pipeline_config import InputReader, PipelineConfig, anchors

_GIB = 2**30
# Bytes of activations and gradients for each pixel of the input, as float32, by backbone.
# Measured, as the growth of a training step's peak memory with the batch size on a CPU:
# 1,340 for SSD MobileNet V2 at 300x300, 2,860 for SSD ResNet50 FPN at 640x640. The others are
# guesses from the size of the networks. A GPU's convolutions need workspace in addition.
_BYTES_PER_PIXEL = (
    ("mobilenet", 1500),
    ("efficientnet", 4000),
    ("hourglass", 10_000),
    ("inception_resnet", 7000),
    ("resnet", 3000),
)
_OTHER = 4000
_LARGER_INPUT = 1024  # px, for models that take any size
_SHARE = 0.9  # of the memory, above which a step probably does not fit
_BUFFER_SHARE = 0.25  # of the host's memory, for shuffling alone


def check_memory(context: CheckContext, findings: CheckFindings) -> None:
    """Compares the estimates with this machine's memory."""
    host, device = hardware.memory(), hardware.gpu_memory()
    limit = device or host
    if limit is not None:
        check_step(context.config, limit, findings)
    if host is not None and context.train is not None:
        check_shuffle_buffer(context.config.train_input_reader, context.train, host, findings)


def step_bytes(config: PipelineConfig) -> int:
    """Bytes that a training step takes on the device, roughly."""
    height, width = anchors.canvas(config) or (_LARGER_INPUT, _LARGER_INPUT)
    backbone = pipeline_config.model_of(config).feature_extractor.type.lower()
    each = next((size for name, size in _BYTES_PER_PIXEL if name in backbone), _OTHER)
    return int(config.train_config.batch_size * height * width * each)


def check_step(config: PipelineConfig, limit: int, findings: CheckFindings) -> None:
    """Warns if a training step may need more than `limit` bytes: the GPU's memory or the host's."""
    estimate = step_bytes(config)
    if estimate <= _SHARE * limit:
        return
    batch = config.train_config.batch_size
    fitting = max(int(batch * _SHARE * limit / estimate), 1)
    findings.warning(
        "memory_device",
        "A training step may not fit into memory (an estimate, accurate to a factor of two): "
        "'ResourceExhaustedError', or 'Killed'.",
        Location(
            "train_config.batch_size",
            found=f"{batch} takes about {estimate / _GIB:.1f} GiB, and there are "
            f"{limit / _GIB:.1f} GiB",
        ),
        fix=f"`tfod configure --batch_size {fitting}`, which scales the learning rate too.",
    )


def check_shuffle_buffer(
    reader: InputReader, train: SplitFacts, host: int, findings: CheckFindings
) -> None:
    """Warns if the shuffle buffer holds a large share of the host's memory, in bytes."""
    if not train.records or not reader.shuffle:
        return
    held = min(reader.shuffle_buffer_size, train.records)
    size = held * train.bytes_read // train.records
    if size > _BUFFER_SHARE * host:
        findings.warning(
            "memory_host",
            "The shuffle buffer holds much of the machine's memory: training may end with "
            "'Killed'.",
            Location(
                "train_input_reader.shuffle_buffer_size",
                found=f"{held:,} records of {size / held / 2**20:.2g} MiB are "
                f"{size / _GIB:.1f} GiB",
            ),
            fix="Lower shuffle_buffer_size (`tfod configure` fits it to the records).",
        )


CHECK = Check(
    name="memory",
    covers="memory of the device and the host (estimates)",
    codes=("memory_device", "memory_host"),
    run=check_memory,
    needs=Needs.MODEL,
)
