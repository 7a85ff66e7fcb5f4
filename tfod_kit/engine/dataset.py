"""The batches to train on: upstream's input, with a cache where one is wanted.

Upstream reads, decodes and augments every picture anew in every epoch. With a cache it is decoded
once; augmentation, resizing and the order stay new each time.
"""

import hashlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tfod_kit import hardware, pipeline_config
from tfod_kit.engine import runtime
from tfod_kit.engine.inputs import record_files
from tfod_kit.engine.levers import Levers
from tfod_kit.errors import UsageError
from tfod_kit.records import example, shards

MEMORY = "memory"
_READ_BUFFER = 8_000_000  # bytes, as upstream's
_SHARE = 0.6  # of the machine's memory, for pictures
_SAMPLE = 32  # records of a file
_SHUFFLED = 512  # decoded pictures, where they lie in files


def build(config: Any, model: Any, levers: Levers, context: Any = None) -> Any:
    """Endless (features, labels) batches, as upstream's `inputs.train_input` yields them.

    Args:
      config: the pipeline config, as the levers have it.
      model: upstream's DetectionModel, which scales the pictures.
      levers: their cache, input_workers and deterministic are for here.
      context: the tf.distribute.InputContext of the process.
    """
    runtime.start()
    from object_detection import inputs

    with _cached(levers):
        data = inputs.train_input(
            train_config=config.train_config,
            train_input_config=config.train_input_reader,
            model_config=config.model,
            model=model,
            input_context=context,
        ).repeat()
    return data.with_options(_options(levers))


def _options(levers: Levers) -> Any:
    options = runtime.start().data.Options()
    if levers.input_workers is not None:
        # Upstream's `num_parallel_map_calls` is read on TensorFlow 1 alone: on 2 its maps take
        # what tf.data finds to pay, within these.
        options.threading.private_threadpool_size = levers.input_workers
        options.autotune.cpu_budget = levers.input_workers
    if levers.deterministic:
        options.deterministic = True
    return options


@contextmanager
def _cached(levers: Levers) -> Iterator[None]:
    """Has upstream's input build its data set by `_build`, within the block."""
    if levers.cache is None:
        yield
        return
    from object_detection import inputs

    table = inputs.INPUT_BUILDER_UTIL_MAP
    upstream = table["dataset_build"]
    table["dataset_build"] = partial(_build, levers)
    try:
        yield
    finally:
        table["dataset_build"] = upstream


def _build(
    levers: Levers,
    reader: Any,
    *,
    transform_input_data_fn: Callable[[Any], Any],
    batch_size: int,
    input_context: Any,
    reduce_to_frame_fn: Callable[..., Any],
) -> Any:
    """As upstream's `dataset_builder.build`, but each record is read and decoded once."""
    tf = runtime.start()
    from object_detection.builders import dataset_builder, decoder_builder

    if reader.sample_from_datasets_weights:
        raise UsageError(
            "These records cannot be cached: they are drawn by weights.",
            where="train_input_reader.sample_from_datasets_weights",
            fix="Train without --cache.",
        )
    shard = dataset_builder.shard_function_for_context(input_context)
    once = pipeline_config.copy_of(reader)
    once.shuffle, once.num_epochs = False, 1
    records = dataset_builder.read_dataset(
        partial(tf.data.TFRecordDataset, buffer_size=_READ_BUFFER),
        reader.tf_record_input_reader.input_path[:],
        once,
        filename_shard_fn=shard,
    )
    if reader.sample_1_of_n_examples > 1:
        records = records.shard(reader.sample_1_of_n_examples, 0)
    decoded = records.map(decoder_builder.build(reader).decode, tf.data.AUTOTUNE)
    if levers.cache == MEMORY:
        data = decoded.cache()
    else:
        worker = input_context.input_pipeline_id if input_context is not None else 0
        data = decoded.cache(_cache_file(Path(str(levers.cache)), record_files(reader), worker))
    if reader.shuffle:
        in_memory = levers.cache == MEMORY  # where shuffling takes no room of its own
        data = data.shuffle(reader.shuffle_buffer_size if in_memory else _SHUFFLED)
    if input_context is not None:
        batch_size = input_context.get_per_replica_batch_size(batch_size)
    frames = reduce_to_frame_fn(data.repeat(reader.num_epochs or None), _mapped, batch_size, reader)
    return (
        frames.map(transform_input_data_fn, tf.data.AUTOTUNE)
        .batch(batch_size, drop_remainder=reader.drop_remainder)
        .prefetch(reader.num_prefetch_batches)
    )


def _mapped(data: Any, function: Callable[[Any], Any], *_: Any) -> Any:
    return data.map(function, runtime.start().data.AUTOTUNE)


def check_memory(levers: Levers, reader: Any) -> None:
    """Sees that the decoded pictures of an input reader fit the memory, if they shall lie there.

    Raises:
      UsageError: they do not.
    """
    limit = hardware.memory()
    if levers.cache != MEMORY or limit is None:
        return
    needed = sum(shards.count(path) * _bytes_each(path) for path in record_files(reader))
    if needed > _SHARE * limit:
        raise UsageError(
            "The decoded pictures do not fit the memory.",
            expected=f"{_SHARE * limit / 2**30:.1f} GiB at most, of {limit / 2**30:.1f}",
            found=f"about {needed / 2**30:.1f} GiB",
            fix="Keep them in files (--cache PATH), or convert them smaller.",
        )


def _bytes_each(path: Path) -> int:
    """What a picture of a record file takes when it is decoded, from the first of them."""
    sizes = []
    for record in itertools.islice(shards.read(path), _SAMPLE):
        features = example.features(record)
        sizes.append(3 * features[example.HEIGHT][1][0] * features[example.WIDTH][1][0])
    return sum(sizes) // max(len(sizes), 1)


def _cache_file(beginning: Path, records: list[Path], worker: int) -> str:
    """Where the pictures of these records lie: other records, or changed ones, have other files."""
    beginning.parent.mkdir(parents=True, exist_ok=True)
    told = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in records]
    name = f"{beginning.name}-{hashlib.sha256(repr(told).encode()).hexdigest()[:12]}-{worker}"
    for left in beginning.parent.glob(f"{name}*.lockfile"):
        # A training that ended in its first epoch leaves a part, on which TensorFlow then fails.
        left.unlink()
    return str(beginning.with_name(name))
