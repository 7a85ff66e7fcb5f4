"""The batches to train on, from upstream's reading, decoding and augmentation.

Upstream's own `dataset_builder.build` decodes eight batches at a time, whatever the cores and the
memory, with functions of TensorFlow 1 that ignore the seed. This one processes as many images as
there are threads, follows the seed, and can cache the decoded images.
"""

import hashlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from tfod_kit import pipeline_config
from tfod_kit.engine import runtime
from tfod_kit.engine.upstream import (
    Dataset,
    DetectionModel,
    InputContext,
    InputReader,
    Tensor,
)
from tfod_kit.errors import DataError, UsageError
from tfod_kit.io import hardware
from tfod_kit.pipeline_config import PipelineConfig, record_files
from tfod_kit.records import example_proto, feature_keys, shards
from tfod_kit.training.mixing import Mixing
from tfod_kit.training.step_options import StepOptions

MEMORY = "memory"
AUTO = "auto"
_READ_BUFFER = 8_000_000  # bytes, as upstream's
_SHARE = 0.6  # of the machine's memory, for decoded images
_AUTO_SHARE = 0.25  # of the machine's memory, if nobody asked for a cache
_SAMPLE = 32  # records of a file
_SHUFFLED = 512  # decoded images, if they are cached in files

Transform: TypeAlias = Callable[[Tensor], Tensor]
_D = TypeVar("_D")


def build(
    config: PipelineConfig,
    model: DetectionModel,
    options: StepOptions,
    context: InputContext | None = None,
    mixing: Mixing | None = None,
) -> Dataset:
    """Builds endless (features, labels) batches like upstream's `inputs.train_input`.

    Args:
      config: the pipeline config, with the step options applied.
      model: upstream's DetectionModel, which scales the images.
      options: the step options; cache, input_workers, seed and deterministic are used here.
      context: the tf.distribute.InputContext of the process.
      mixing: mixes the decoded images; None leaves them as they are.

    Raises:
      UsageError: the records cannot be cached.
      ValueError: whether they are cached is left open; `settled` decides it.
    """
    if options.cache == AUTO:
        raise ValueError("whether images are cached is not settled")
    runtime.start()
    from object_detection import inputs

    reader = config.train_input_reader
    build_upstream = partial(
        inputs.train_input,
        train_config=config.train_config,
        train_input_config=mixing.with_room(reader) if mixing else reader,
        model_config=config.model,
        model=model,
        input_context=context,
    )
    with _replaced_builder(options, mixing), _seeded_crops(options):
        data = without_autograph_if_possible(build_upstream).repeat()
    return data.with_options(_dataset_options(options))


def without_autograph_if_possible(build: Callable[[], _D]) -> _D:
    """Calls `build` without AutoGraph, which is faster, unless an augmentation needs it."""
    try:
        return runtime.without_autograph(build)()
    except TypeError:  # such as upstream's random_square_crop_by_scale; others recur
        return build()


def _dataset_options(options: StepOptions) -> Any:  # tf.data.Options
    chosen = runtime.start().data.Options()
    # The autotuning thread can miss that the iterator ended and then sleeps for up to a minute,
    # for which the end of the training would wait. (tf.data's Model::OptimizeLoop is woken before
    # CancellationManager reports the cancellation.) Without autotuning, as many images are
    # processed at a time as there are threads, at most 16.
    chosen.autotune.enabled = False
    if options.input_workers is not None:
        chosen.threading.private_threadpool_size = options.input_workers
    if options.deterministic:
        chosen.deterministic = True
    return chosen


@contextmanager
def _seeded_crops(options: StepOptions) -> Iterator[None]:
    """Makes upstream's random crops follow the seed within the block.

    They use an operation that only follows its own seed argument, and that TensorFlow refuses
    without one when determinism is enabled.
    """
    if options.seed is None and not options.deterministic:
        yield
        return
    runtime.start()
    from object_detection.core import preprocessor

    image = preprocessor.tf.image
    original = image.sample_distorted_bounding_box
    image.sample_distorted_bounding_box = partial(original, seed=(options.seed or 0) + 1)
    try:
        yield
    finally:
        image.sample_distorted_bounding_box = original


@contextmanager
def _replaced_builder(options: StepOptions, mixing: Mixing | None) -> Iterator[None]:
    """Makes upstream's input build its data set with `_build` within the block."""
    from object_detection import inputs

    table = inputs.INPUT_BUILDER_UTIL_MAP
    upstream = table["dataset_build"]
    table["dataset_build"] = partial(_build, options, mixing)
    try:
        yield
    finally:
        table["dataset_build"] = upstream


def _build(
    options: StepOptions,
    mixing: Mixing | None,
    reader: InputReader,
    *,
    transform_input_data_fn: Transform,
    batch_size: int,
    input_context: InputContext | None,
    reduce_to_frame_fn: Callable[..., Dataset],
) -> Dataset:
    """Replaces upstream's `dataset_builder.build`."""
    from object_detection.builders import decoder_builder

    decoding = mixing.with_masks(reader) if mixing is not None else reader
    decode = decoder_builder.build(decoding).decode
    read_once = partial(_records, reader, input_context, once=True)
    if options.cache is not None:
        decoded = _cached(_mapped(read_once(), decode), options, decoding, input_context)
    elif options.deterministic:
        # Upstream's own shuffling of files differs between runs.
        decoded = _mapped(_shuffled(read_once(), reader, reader.shuffle_buffer_size), decode)
    else:
        decoded = _mapped(_records(reader, input_context, once=False), decode)
    if input_context is not None:
        batch_size = input_context.get_per_replica_batch_size(batch_size)
    frames = reduce_to_frame_fn(decoded, _mapped, batch_size, reader)
    if mixing is not None:
        frames = mixing.apply(frames, input_context.input_pipeline_id if input_context else 0)
    batches = _mapped(frames, transform_input_data_fn).batch(
        batch_size, drop_remainder=reader.drop_remainder
    )
    return batches.prefetch(reader.num_prefetch_batches)


def _records(reader: InputReader, context: InputContext | None, *, once: bool) -> Dataset:
    """The encoded records: endless and shuffled, or once in the order of their files."""
    tf = runtime.start()
    from object_detection.builders import dataset_builder

    if once:
        reader = pipeline_config.copy_of(reader)
        reader.shuffle, reader.num_epochs = False, 1
        if reader.sample_from_datasets_weights:
            raise UsageError(
                "These records cannot be cached or read in a fixed order: they are sampled by "
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


def _cached(
    decoded: Dataset, options: StepOptions, reader: InputReader, context: InputContext | None
) -> Dataset:
    if options.cache == MEMORY:  # shuffling needs no memory of its own here
        return _shuffled(decoded.cache(), reader, reader.shuffle_buffer_size)
    worker = context.input_pipeline_id if context is not None else 0
    masks = reader.mask_type if reader.load_instance_masks else None
    name = _cache_file(Path(str(options.cache)), record_files(reader), worker, masks)
    return _shuffled(decoded.cache(name), reader, min(reader.shuffle_buffer_size, _SHUFFLED))


def _shuffled(data: Dataset, reader: InputReader, buffer: int) -> Dataset:
    """Repeats the data, in another order in each epoch."""
    return (data.shuffle(buffer) if reader.shuffle else data).repeat(reader.num_epochs or None)


def _mapped(data: Dataset, function: Transform, *_: object) -> Dataset:
    return data.map(function, runtime.start().data.AUTOTUNE)


def settled(options: StepOptions, reader: InputReader, *, whole: bool) -> tuple[StepOptions, str]:
    """Decides whether images are cached if that is left open; returns the options and a note.

    Args:
      options: the step options.
      reader: train_input_reader.
      whole: whether this process reads all records, and expects none to be damaged.
    """
    if options.cache != AUTO:
        return options, ""
    limit = hardware.memory()
    weighted = bool(reader.sample_from_datasets_weights)
    remote = any(map(pipeline_config.is_remote, pipeline_config.record_patterns(reader)))
    if not whole or weighted or remote or limit is None:
        return replace(options, cache=None), ""
    try:
        needed = _needed(reader)
    except (DataError, LookupError):  # reading the records for training reports what is wrong
        return replace(options, cache=None), ""
    if needed > _AUTO_SHARE * limit:
        return replace(options, cache=None), ""
    note = (
        f"Decoded images stay in memory: about {max(needed / 2**20, 1):,.0f} MiB of "
        f"{limit / 2**30:.0f} GiB (--cache none decodes them in each epoch)"
    )
    return replace(options, cache=MEMORY), note


def check_memory(options: StepOptions, reader: InputReader) -> None:
    """Checks that the decoded images fit into memory, if they are to be cached there.

    Raises:
      UsageError: they do not fit.
    """
    limit = hardware.memory()
    if options.cache != MEMORY or limit is None:
        return
    needed = _needed(reader)
    if needed > _SHARE * limit:
        raise UsageError(
            "The decoded images do not fit into memory.",
            expected=f"{_SHARE * limit / 2**30:.1f} GiB at most, of {limit / 2**30:.1f}",
            found=f"about {needed / 2**30:.1f} GiB",
            fix="Cache them in files (--cache PATH), or convert them to a smaller size.",
        )


def _needed(reader: InputReader) -> int:
    """The approximate bytes of all decoded images, with their masks if those are loaded."""
    masks = bool(reader.load_instance_masks)
    return sum(shards.count(path) * _bytes_each(path, masks) for path in record_files(reader))


def _bytes_each(path: Path, masks: bool) -> int:
    """The mean size of the decoded images of a record file, from its first records."""
    sizes: list[int] = []
    for record in itertools.islice(shards.read(path), _SAMPLE):
        features = example_proto.read_features(record)
        pixels = features[feature_keys.HEIGHT][1][0] * features[feature_keys.WIDTH][1][0]
        # Upstream's decoder returns a float32 for each pixel of each mask.
        layers = len(features.get(feature_keys.YMIN, ("", ()))[1]) if masks else 0
        sizes.append((3 + 4 * layers) * pixels)
    return sum(sizes) // max(len(sizes), 1)


def _cache_file(prefix: Path, records: list[Path], worker: int, masks: int | None = None) -> str:
    """The path of the cache file of these records; other or changed records have other files.

    So have records that are decoded with masks, of the type `masks`.
    """
    prefix.parent.mkdir(parents=True, exist_ok=True)
    versions: list[object] = [
        (path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in records
    ]
    if masks is not None:
        versions.append(masks)
    name = f"{prefix.name}-{hashlib.sha256(repr(versions).encode()).hexdigest()[:12]}-{worker}"
    for lock in prefix.parent.glob(f"{name}*.lockfile"):
        # A training that ended in its first epoch leaves a partial file, and TensorFlow would fail.
        lock.unlink()
    return str(prefix.with_name(name))
