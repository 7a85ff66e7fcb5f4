"""The batches to train on: upstream's reading, decoding and augmentation, put together here.

Upstream's own `dataset_builder.build` decodes eight batches at a time, whatever the cores and the
memory, and maps by functions of TensorFlow 1 that follow no seed. This one works on as many
pictures as there are threads, follows the seed, and can keep the decoded pictures.
"""

import hashlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tfod_kit import pipeline_config
from tfod_kit.engine import runtime
from tfod_kit.errors import UsageError
from tfod_kit.io import hardware
from tfod_kit.pipeline_config import record_files
from tfod_kit.records import example_proto, feature_keys, shards
from tfod_kit.training.step_options import Levers

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

    Raises:
      UsageError: the records cannot be cached.
    """
    runtime.start()
    from object_detection import inputs

    make = partial(
        inputs.train_input,
        train_config=config.train_config,
        train_input_config=config.train_input_reader,
        model_config=config.model,
        model=model,
        input_context=context,
    )
    with _built_here(levers), _crops_seeded(levers):
        data = quickly(make).repeat()
    return data.with_options(_options(levers))


def quickly(make: Callable[[], Any]) -> Any:
    """The data set that `make` makes, without AutoGraph where no augmentation needs it."""
    try:
        return runtime.as_written(make)()
    except TypeError:  # such as upstream's random_square_crop_by_scale; another error comes again
        return make()


def _options(levers: Levers) -> Any:
    options = runtime.start().data.Options()
    # The thread that tunes can miss that the iterator ends, and then sleeps on for up to a minute,
    # which the end of the training waits for. (tf.data's Model::OptimizeLoop is woken before
    # CancellationManager says that it is cancelled.) Untuned, as many pictures are worked on at a
    # time as there are threads, 16 at most.
    options.autotune.enabled = False
    if levers.input_workers is not None:
        options.threading.private_threadpool_size = levers.input_workers
    if levers.deterministic:
        options.deterministic = True
    return options


@contextmanager
def _crops_seeded(levers: Levers) -> Iterator[None]:
    """Has upstream's random crops follow the seed, within the block.

    It draws them by an operation that follows only a seed of its own, and that TensorFlow refuses
    without one where everything shall be determined.
    """
    if levers.seed is None and not levers.deterministic:
        yield
        return
    runtime.start()
    from object_detection.core import preprocessor

    image = preprocessor.tf.image
    unseeded = image.sample_distorted_bounding_box
    image.sample_distorted_bounding_box = partial(unseeded, seed=(levers.seed or 0) + 1)
    try:
        yield
    finally:
        image.sample_distorted_bounding_box = unseeded


@contextmanager
def _built_here(levers: Levers) -> Iterator[None]:
    """Has upstream's input build its data set by `_build`, within the block."""
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
    """What upstream's `dataset_builder.build` does, in its place."""
    from object_detection.builders import decoder_builder

    decode = decoder_builder.build(reader).decode
    if levers.cache is not None:
        decoded = _kept(_mapped(_records(reader, input_context, once=True), decode), levers, reader,
                        input_context)  # fmt: skip
    elif levers.deterministic:
        # Upstream's own shuffling of files is not the same twice.
        decoded = _mapped(
            _shuffled(
                _records(reader, input_context, once=True), reader, reader.shuffle_buffer_size
            ),
            decode,
        )
    else:
        decoded = _mapped(_records(reader, input_context, once=False), decode)
    if input_context is not None:
        batch_size = input_context.get_per_replica_batch_size(batch_size)
    frames = reduce_to_frame_fn(decoded, _mapped, batch_size, reader)
    return (
        _mapped(frames, transform_input_data_fn)
        .batch(batch_size, drop_remainder=reader.drop_remainder)
        .prefetch(reader.num_prefetch_batches)
    )


def _records(reader: Any, context: Any, *, once: bool) -> Any:
    """The encoded records: shuffled and again and again, or once in the order of their files."""
    tf = runtime.start()
    from object_detection.builders import dataset_builder

    if once:
        reader = pipeline_config.copy_of(reader)
        reader.shuffle, reader.num_epochs = False, 1
        if reader.sample_from_datasets_weights:
            raise UsageError(
                "These records cannot be cached, nor be read in one order: they are drawn by "
                "weights.",
                where="train_input_reader.sample_from_datasets_weights",
                fix="Train without --cache and --deterministic.",
            )
    records = dataset_builder.read_dataset(
        partial(tf.data.TFRecordDataset, buffer_size=_READ_BUFFER),
        reader.tf_record_input_reader.input_path[:],
        reader,
        filename_shard_fn=dataset_builder.shard_function_for_context(context),
    )
    every = reader.sample_1_of_n_examples
    return records.shard(every, 0) if every > 1 else records


def _kept(decoded: Any, levers: Levers, reader: Any, context: Any) -> Any:
    if levers.cache == MEMORY:  # where shuffling takes no room of its own
        return _shuffled(decoded.cache(), reader, reader.shuffle_buffer_size)
    worker = context.input_pipeline_id if context is not None else 0
    name = _cache_file(Path(str(levers.cache)), record_files(reader), worker)
    return _shuffled(decoded.cache(name), reader, min(reader.shuffle_buffer_size, _SHUFFLED))


def _shuffled(data: Any, reader: Any, buffer: int) -> Any:
    """In another order in each epoch, again and again."""
    return (data.shuffle(buffer) if reader.shuffle else data).repeat(reader.num_epochs or None)


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
        features = example_proto.read_features(record)
        sizes.append(3 * features[feature_keys.HEIGHT][1][0] * features[feature_keys.WIDTH][1][0])
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
