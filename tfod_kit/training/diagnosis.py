"""Why a training failed: TensorFlow's errors and losses that are no numbers, traced to a cause."""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfod_kit.engine import runtime
from tfod_kit.errors import ConfigError, DataError, SetupError, TfodKitError, first_line
from tfod_kit.pipeline_config import record_files
from tfod_kit.records import example_proto, feature_keys
from tfod_kit.records.salvage import Damage, salvage
from tfod_kit.training.inputs import Skipped, faults

_SHOWN = 4
# object_detection.inputs.HASH_BINS: a batch carries this hash of each image's source id.
_HASH_BINS = 1 << 31
_HASHED_AT_ONCE = 1000
_SMALLEST_SIDE = (
    1.0  # px; a box below it makes upstream's box coder take the logarithm of next to 0
)


@dataclass(frozen=True, slots=True)
class Source:
    """An image of a batch: where it lies, and its boxes' shortest side in pixels (inf = none)."""

    source_id: str
    path: Path
    index: int
    shortest_side: float

    def __str__(self) -> str:
        return f"{self.source_id} ({self.path.name}, record {self.index})"


@contextmanager
def explained(config: Any, config_path: Path, skipped: Skipped | None) -> Iterator[None]:
    """Turns what TensorFlow says of damaged records and spent memory into its cause.

    Raises:
      DataError: a record cannot be used; it is named.
      ConfigError: the device or the machine has too little memory, or XLA lacks an operation.
      SetupError: another worker of the training is gone.
    """
    errors = runtime.start().errors
    try:
        yield
    except (errors.ResourceExhaustedError, MemoryError) as error:
        raise out_of_memory(config, config_path, first_line(error)) from error
    except (errors.UnavailableError, errors.AbortedError) as error:
        raise SetupError(
            "Another worker is gone, or cannot be reached any more.",
            found=first_line(error),
            fix="What that worker printed last tells why. Start all workers again with the same "
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
        cause = _bad_input(config, skipped, error)
        if cause is None:
            raise
        raise cause from error


def out_of_memory(config: Any, config_path: Path, found: str) -> ConfigError:
    """What to try next, the least harmful first."""
    batch = config.train_config.batch_size
    half = max(1, batch // 2)
    smaller = (
        f"Take fewer pictures at a time, and as many a step: `tfod train --batch_size {half} "
        "--accumulate 2`. Then: "
        if batch > 1
        else "The batch is 1 already. Try "
    )
    return ConfigError(
        "The device has too little memory for this batch.",
        where=config_path,
        found=found,
        fix=f"{smaller}mixed precision on a GPU (`--precision float16`), a smaller input "
        "(`tfod configure --input_size`), a smaller model (`tfod models`). On a GPU, see with "
        "nvidia-smi that no other process holds its memory. Training resumes from the last "
        "checkpoint.",
    )


def loss_error(
    losses: Mapping[str, float],
    hashes: Iterable[int],
    *,
    step: int,
    learning_rate: float,
    config: Any,
    config_path: Path,
) -> TfodKitError:
    """The error for a loss that is no number: which losses, which images, and the likely cause.

    Args:
      losses: name -> value; those that are not finite are named.
      hashes: upstream's hashes of the batch's source ids.
      step: where it happened.
      learning_rate: the rate of that step.
    """
    wrong = ", ".join(
        f"{name} = {value}" for name, value in losses.items() if not math.isfinite(value)
    )
    sources = find_sources(config.train_input_reader, hashes)
    thin = [source for source in sources if source.shortest_side < _SMALLEST_SIDE]
    what = f"The loss stopped being a number at step {step:,}."
    found = f"{wrong}; learning rate {learning_rate:.3g}; the batch: {_listed(sources)}"
    if thin:
        return DataError(
            what,
            where=f"{thin[0].path}, record {thin[0].index} ({thin[0].source_id})",
            expected=f"boxes of {_SMALLEST_SIDE:g} px or more",
            found=f"one of {thin[0].shortest_side:.2g} px; {found}",
            fix="Such boxes are the likely cause: `tfod check` lists them all; leave them out when "
            "converting. The checkpoints saved before are in the folder.",
        )
    clipped = config.train_config.gradient_clipping_by_norm
    clipping = "" if clipped else ", or clip gradients: `tfod train --clip_norm 10`"
    return ConfigError(
        what,
        where=config_path,
        found=found,
        fix="The likely cause is a learning rate too high for this model and batch: divide it by "
        f"10 (`tfod configure --learning_rate`){clipping}. If it happens on the same pictures "
        "again, look at their boxes with `tfod inspect`. The checkpoints saved before are in the "
        "folder.",
    )


def find_sources(reader: Any, hashes: Iterable[int]) -> list[Source]:
    """The images whose source ids have these hashes, found by reading the records.

    Images without a source id are not found: upstream gives them a new random one each time.
    """
    wanted = set(map(int, hashes))
    found: list[Source] = []
    for path in record_files(reader):
        rows: list[Source] = []
        for index, record in enumerate(salvage(path)):
            if not isinstance(record, Damage) and (row := _source(path, index, record)) is not None:
                rows.append(row)
            if len(rows) == _HASHED_AT_ONCE:
                found += _wanted(rows, wanted)
                rows = []
        found += _wanted(rows, wanted)
        if len(found) >= len(wanted):
            break
    return found


def _wanted(rows: list[Source], wanted: set[int]) -> list[Source]:
    if not rows:
        return []
    tf = runtime.start()
    hashed = tf.strings.to_hash_bucket_fast([row.source_id for row in rows], _HASH_BINS)
    return [
        row for row, number in zip(rows, hashed.numpy().tolist(), strict=True) if number in wanted
    ]


def _source(path: Path, index: int, record: bytes) -> Source | None:
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
    return Source(name, path, index, min(sides, default=math.inf)) if name else None


def _bad_input(config: Any, skipped: Skipped | None, error: Any) -> TfodKitError | None:
    """The record that made TensorFlow fail, if it is one; None for any other cause."""
    errors = runtime.start().errors
    lost = isinstance(error, errors.DataLossError)
    if not lost and not isinstance(error, errors.InvalidArgumentError | errors.UnknownError):
        return None
    if skipped is not None and skipped.hopeless:
        return DataError(
            "No record can be used.",
            where=skipped.errors[0].where,
            found=f"{skipped.errors[0].found}; {len(skipped.errors)} such records and no other",
            fix="Convert the data set anew.",
        )
    print("Looking for the record at fault ...", flush=True)
    found = next(faults(config.train_input_reader), None)
    if found is None and lost:
        return DataError(
            "A record cannot be read.",
            where=", ".join(config.train_input_reader.tf_record_input_reader.input_path),
            found=first_line(error),
            fix="Convert the data set anew.",
        )
    return found


def _listed(sources: list[Source]) -> str:
    if not sources:
        return "unknown (its records have no image/source_id)"
    more = f" and {len(sources) - _SHOWN} more" if len(sources) > _SHOWN else ""
    return ", ".join(map(str, sources[:_SHOWN])) + more
