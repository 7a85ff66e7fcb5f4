"""Explains why a training failed: traces TensorFlow's errors and NaN losses to their causes."""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfod_kit.engine import runtime
from tfod_kit.engine.upstream import InputReader
from tfod_kit.errors import ConfigError, DataError, SetupError, TfodKitError, first_line
from tfod_kit.pipeline_config import PipelineConfig, record_files, record_patterns
from tfod_kit.records import example_proto, feature_keys
from tfod_kit.records.salvage import Damage, salvage
from tfod_kit.training.inputs import Skipped, faults

_SHOWN = 4
# object_detection.inputs.HASH_BINS: a batch carries this hash of each image's source id.
_HASH_BINS = 1 << 31
_HASHED_AT_ONCE = 1000
# px; for a smaller box upstream's box coder takes the logarithm of almost 0.
_SMALLEST_SIDE = 1.0


@dataclass(frozen=True, slots=True)
class BatchImage:
    """An image of a batch: its record, and the shortest side of its boxes in px (inf: no boxes)."""

    source_id: str
    path: Path
    index: int
    shortest_side: float

    def __str__(self) -> str:
        return f"{self.source_id} ({self.path.name}, record {self.index})"


@contextmanager
def explained(config: PipelineConfig, config_path: Path, skipped: Skipped | None) -> Iterator[None]:
    """Replaces TensorFlow's errors within the block by errors that name the cause.

    Raises:
      DataError: a record cannot be used; names it.
      ConfigError: the device or the machine has too little memory, or XLA lacks an operation.
      SetupError: another worker of the training has ended.
    """
    errors = runtime.start().errors
    try:
        yield
    except (errors.ResourceExhaustedError, MemoryError) as error:
        raise out_of_memory(config, config_path, first_line(error)) from error
    except (errors.UnavailableError, errors.AbortedError) as error:
        raise SetupError(
            "Another worker is gone, or can no longer be reached.",
            found=first_line(error),
            fix="The last output of that worker shows why. Start all workers again with the same "
            "command: training resumes from the last checkpoint.",
        ) from error
    except errors.OpError as error:
        if "unsupported operations when trying to compile" in str(error):
            raise ConfigError(
                "XLA cannot compile this model's training step.",
                where=config_path,
                found=first_line(error),
                fix="Train without --xla.",
            ) from error
        cause = _removed(config, error) or _bad_input(config, skipped, error)
        if cause is None:
            raise
        raise cause from error


def out_of_memory(config: PipelineConfig, config_path: Path, found: str) -> ConfigError:
    """The error for too little memory; its advice starts with the least harmful."""
    batch = config.train_config.batch_size
    half = max(1, batch // 2)
    smaller = (
        f"Take fewer images at a time, but as many per step: `tfod train --batch_size {half} "
        "--accumulate 2`. Then: "
        if batch > 1
        else "The batch is 1 already. Try "
    )
    return ConfigError(
        "The device has too little memory for this batch.",
        where=config_path,
        found=found,
        fix=f"{smaller}mixed precision on a GPU (`--precision float16`), a smaller input "
        "(`tfod configure --input_size`), a smaller model (`tfod models`). On a GPU, check "
        "with nvidia-smi that no other process uses its memory. Training resumes from the last "
        "checkpoint.",
    )


def loss_error(
    losses: Mapping[str, float],
    hashes: Iterable[int],
    *,
    step: int,
    learning_rate: float,
    config: PipelineConfig,
    config_path: Path,
) -> TfodKitError:
    """The error for a loss that is not finite: names losses, images and the likely cause.

    Args:
      losses: name -> value; the error names those that are not finite.
      hashes: upstream's hashes of the batch's source ids.
      step: the number of the step.
      learning_rate: the rate of that step.
      config: the pipeline config.
      config_path: its file.
    """
    wrong = ", ".join(
        f"{name} = {value}" for name, value in losses.items() if not math.isfinite(value)
    )
    images = find_images(config.train_input_reader, hashes)
    thin = [image for image in images if image.shortest_side < _SMALLEST_SIDE]
    problem = f"The loss is not a finite number at step {step:,}."
    found = f"{wrong}; learning rate {learning_rate:.3g}; the batch: {_listed(images)}"
    if thin:
        return DataError(
            problem,
            where=f"{thin[0].path}, record {thin[0].index} ({thin[0].source_id})",
            expected=f"boxes of {_SMALLEST_SIDE:g} px or more",
            found=f"one of {thin[0].shortest_side:.2g} px; {found}",
            fix="Such boxes are the likely cause: `tfod check` lists all of them; leave them out "
            "when converting. The checkpoints that were saved before are in the folder.",
        )
    clipped = config.train_config.gradient_clipping_by_norm
    clipping = "" if clipped else ", or clip gradients: `tfod train --clip_norm 10`"
    return ConfigError(
        problem,
        where=config_path,
        found=found,
        fix="The likely cause is a learning rate too high for this model and batch: divide it by "
        f"10 (`tfod configure --learning_rate`){clipping}. If it happens on the same images "
        "again, inspect their boxes with `tfod inspect`. The checkpoints that were saved before "
        "are in the folder.",
    )


def find_images(reader: InputReader, hashes: Iterable[int]) -> list[BatchImage]:
    """Finds the images whose source ids have these hashes, by reading the records.

    Images without a source id are not found: upstream gives them a random one each time.
    """
    numbers = set(map(int, hashes))
    images: list[BatchImage] = []
    for path in record_files(reader):
        rows: list[BatchImage] = []
        for index, record in enumerate(salvage(path)):
            if not isinstance(record, Damage) and (row := _image(path, index, record)) is not None:
                rows.append(row)
            if len(rows) == _HASHED_AT_ONCE:
                images += _matching(rows, numbers)
                rows = []
        images += _matching(rows, numbers)
        if len(images) >= len(numbers):
            break
    return images


def _matching(rows: list[BatchImage], hashes: set[int]) -> list[BatchImage]:
    if not rows:
        return []
    tf = runtime.start()
    hashed = tf.strings.to_hash_bucket_fast([row.source_id for row in rows], _HASH_BINS)
    return [
        row for row, number in zip(rows, hashed.numpy().tolist(), strict=True) if number in hashes
    ]


def _image(path: Path, index: int, record: bytes) -> BatchImage | None:
    try:
        features = example_proto.read_features(record)
    except DataError:
        return None

    def values(key: str) -> list[Any]:
        return list(features.get(key, ("", ()))[1])

    name = next(iter(values(feature_keys.SOURCE_ID)), b"").decode(errors="replace")
    height = next(iter(values(feature_keys.HEIGHT)), 0)
    width = next(iter(values(feature_keys.WIDTH)), 0)
    sides = [
        (high - low) * size
        for lows, highs, size in (
            (feature_keys.YMIN, feature_keys.YMAX, height),
            (feature_keys.XMIN, feature_keys.XMAX, width),
        )
        for low, high in zip(values(lows), values(highs), strict=False)
        if size
    ]
    return BatchImage(name, path, index, min(sides, default=math.inf)) if name else None


def _removed(config: PipelineConfig, error: Exception) -> DataError | None:
    """The error for record files that are gone since the training started; None if none are."""
    text = str(error)
    patterns = record_patterns(config.train_input_reader)
    folders = {Path(pattern).parent.as_posix() for pattern in patterns}
    if "No such file" not in text or not any(folder in text for folder in folders):
        return None
    return DataError(
        "A record file was removed while the training read it.",
        where=", ".join(patterns),
        found=first_line(error),
        fix="Put it back, or convert the data set again; the same command then resumes from the "
        "last checkpoint.",
    )


def _bad_input(
    config: PipelineConfig, skipped: Skipped | None, error: Exception
) -> TfodKitError | None:
    """The error for the record that made TensorFlow fail; None if the cause is another one."""
    errors = runtime.start().errors
    is_data_loss = isinstance(error, errors.DataLossError)
    if not is_data_loss and not isinstance(
        error, errors.InvalidArgumentError | errors.UnknownError
    ):
        return None
    if skipped is not None and skipped.hopeless:
        return DataError(
            "No record can be used.",
            where=skipped.errors[0].where,
            found=f"{skipped.errors[0].found}; {len(skipped.errors)} such records and no other",
            fix="Convert the data set again.",
        )
    print("Searching for the damaged record ...", flush=True)
    found = next(faults(config.train_input_reader), None)
    if found is None and is_data_loss:
        return DataError(
            "A record cannot be read.",
            where=", ".join(config.train_input_reader.tf_record_input_reader.input_path),
            found=first_line(error),
            fix="Convert the data set again.",
        )
    return found


def _listed(images: list[BatchImage]) -> str:
    if not images:
        return "unknown (its records have no image/source_id)"
    more = f" and {len(images) - _SHOWN} more" if len(images) > _SHOWN else ""
    return ", ".join(map(str, images[:_SHOWN])) + more
