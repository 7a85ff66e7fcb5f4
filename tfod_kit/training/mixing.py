"""Mixes the images of a training: mosaic, mixup and copy-paste, until the last part of it.

Upstream's augmentations see one image at a time. This stage is between the decoded (and possibly
cached) images and upstream's augmentation and resizing. Each image meets others that follow it in
the shuffled order, so nothing is decoded twice. Its decisions depend on the seed and on the number
of the image alone, whichever thread computes them.
"""

import itertools
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from tfod_kit import pipeline_config
from tfod_kit.compat import protos
from tfod_kit.engine import runtime
from tfod_kit.engine.upstream import Dataset, InputReader, Tensor
from tfod_kit.errors import DataError, UsageError
from tfod_kit.pipeline_config import PipelineConfig, anchors, record_files
from tfod_kit.records import example_proto, feature_keys, shards
from tfod_kit.training import mixing_ops
from tfod_kit.training.mixing_ops import Dice, Frame

SHARE = 0.8  # of the steps; then the images stay as they are, and the model adapts to such images
# A fine-tuning that sees each image so often mixes by itself. docs/recipe.md has what was measured.
OFTEN = 30
MOSAIC = 0.5  # the probability, then

_WINDOW = 16  # images among which the others are chosen
_LARGEST = 2  # times the model's input: the longer side of a mosaic or mixture, in px
_SAMPLE = 100  # records of a file in which masks are looked for
_IN_MOSAIC = 4
_ON = "on"

# Fields of train_input_reader whose tensors cannot be mixed.
_UNSUPPORTED = (
    *("load_multiclass_scores", "load_context_features", "load_dense_pose", "load_track_id"),
    *("load_keypoint_depth_features", "num_additional_channels"),
)
# Labels of whole images, by which absent classes are known: they do not hold for a mixture.
_IMAGE_LABELS = (
    "groundtruth_image_classes",
    "groundtruth_verified_neg_classes",
    "groundtruth_not_exhaustive_classes",
)


@dataclass(frozen=True, slots=True)
class MixingOptions:
    """The probability of each kind of mixing, for each image; None as the run was last trained.

    Attributes:
      mosaic: four images, each a part of the result.
      mixup: the weighted mean of two images.
      copy_paste: objects of another image, cut out by their masks.
    """

    mosaic: float | None = None
    mixup: float | None = None
    copy_paste: float | None = None

    def settled(self, before: Mapping[str, float]) -> "MixingOptions":
        """The same with the values of the last training, or 0, in place of None."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        return MixingOptions(**{name: before.get(name, 0.0) for name in asdict(self)} | given)

    @property
    def used(self) -> dict[str, float]:
        """The kinds that are used, and their probabilities."""
        return {name: value for name, value in asdict(self).items() if value}

    def __str__(self) -> str:
        return ", ".join(f"{name} {value:g}" for name, value in self.used.items())


def helps(config: PipelineConfig) -> bool:
    """Whether mosaics are used by default once images are seen often: where that was measured.

    It was for SSDs that are fine-tuned on boxes.
    """
    reader = config.train_input_reader
    return (
        pipeline_config.architecture(config) == "ssd"
        and bool(config.train_config.fine_tune_checkpoint)
        and not (reader.load_instance_masks or reader.num_keypoints or _not_mixable(reader))
    )


class Mixing:
    """The stage of the input pipeline that mixes images.

    Args:
      options: the probabilities, settled; at least one is above 0.
      config: the pipeline config.
      seed: of the decisions; None for other ones each time.

    Raises:
      UsageError: the images of this config cannot be mixed, or lack the masks for copy-paste.
    """

    def __init__(self, options: MixingOptions, config: PipelineConfig, seed: int | None) -> None:
        tf = runtime.start()
        reader = config.train_input_reader
        _check(options, reader)
        self._options = options
        self._seed = secrets.randbits(31) if seed is None else seed
        self._longest = _LARGEST * _input_side(config)
        self._adds_masks = bool(options.copy_paste) and not reader.load_instance_masks
        self._room = 0
        # A variable would be mirrored on every GPU by the strategy; a table stays on the host.
        self._switch = tf.lookup.experimental.MutableHashTable(tf.string, tf.float32, 1.0)
        self._on = True

    def switch(self, on: bool) -> bool:
        """Mixes the images from now on, or stops it; returns whether this is a change."""
        if on == self._on:
            return False
        self._switch.insert(_ON, float(on))
        self._on = on
        return True

    def with_room(self, reader: InputReader) -> InputReader:
        """A copy of a reader that pads to as many boxes as a mixture may have."""
        changed = pipeline_config.copy_of(reader)
        if not reader.load_instance_masks:  # whose padding would take GBs
            factor = _IN_MOSAIC if self._options.mosaic else 1
            factor += bool(self._options.mixup) + bool(self._options.copy_paste)
            changed.max_number_of_boxes = factor * reader.max_number_of_boxes
        self._room = changed.max_number_of_boxes
        return changed

    def with_masks(self, reader: InputReader) -> InputReader:
        """The reader to decode with: it loads the masks if objects are cut out by them."""
        if not self._adds_masks:
            return reader
        changed = pipeline_config.copy_of(reader)
        changed.load_instance_masks = True
        changed.mask_type = _mask_type(reader) or 0
        return changed

    def apply(self, frames: Dataset, worker: int = 0) -> Dataset:
        """Mixes decoded images, endlessly.

        Args:
          frames: what upstream's decoder returns, shuffled and repeated.
          worker: the index of the process, for other decisions in each.
        """
        tf = runtime.start()
        windows = frames.repeat().window(_WINDOW, shift=1, drop_remainder=True)
        numbered = tf.data.Dataset.zip((windows, tf.data.Dataset.counter()))

        def mixed(window: Mapping[str, Dataset], number: Tensor) -> Frame:
            images = tf.data.Dataset.zip(dict(window))

            def pick(index: Tensor | int) -> Frame:
                one = images.skip(index).take(1).get_single_element()
                return mixing_ops.with_all_rows(one)

            seed = tf.stack([tf.constant(self._seed + (worker << 32), tf.int64), number])
            return self._mixed(pick, Dice(seed))

        return numbered.map(mixed, tf.data.AUTOTUNE)

    def _mixed(self, pick: Callable[[Tensor | int], Frame], dice: Dice) -> Frame:
        """The first image of a window, mixed with others of it."""
        tf = runtime.start()
        frame = pick(0)
        operations: dict[str, tuple[int, Callable[[Frame, Sequence[Frame]], Frame]]] = {
            "copy_paste": (1, lambda one, others: mixing_ops.copy_paste(one, others[0], dice)),
            "mosaic": (3, lambda one, others: mixing_ops.mosaic(one, others, dice, self._longest)),
            "mixup": (1, lambda one, others: mixing_ops.mixup(one, others[0], dice, self._longest)),
        }
        on = self._switch.lookup(tf.constant(_ON))
        for name, (count, operation) in operations.items():
            if name not in self._options.used:
                continue
            chosen = dice.uniform() < self._options.used[name] * on
            indices = [dice.index(1, _WINDOW) for _ in range(count)]

            def changed(
                frame: Frame = frame,
                indices: Sequence[Tensor] = indices,
                operation: Callable[[Frame, Sequence[Frame]], Frame] = operation,
            ) -> Frame:
                others = [pick(index) for index in indices]
                result: Frame = tf.cond(
                    self._fits([frame, *others]), lambda: operation(frame, others), lambda: frame
                )
                return result

            frame = tf.cond(chosen, changed, lambda frame=frame: frame)
        if self._adds_masks:
            extra = (mixing_ops.MASKS, mixing_ops.MASK_WEIGHTS)
            frame = {name: value for name, value in frame.items() if name not in extra}
        frame[mixing_ops.IMAGE].set_shape([None, None, 3])
        return frame

    def _fits(self, frames: Sequence[Frame]) -> Tensor:
        """Whether there is room for all boxes, and no image has labels of its own."""
        tf = runtime.start()
        boxes = tf.add_n([tf.shape(frame[mixing_ops.BOXES])[0] for frame in frames])
        labels = [
            tf.size(frame[name])
            for frame, name in itertools.product(frames, _IMAGE_LABELS)
            if name in frame
        ]
        return (boxes <= self._room) & (tf.add_n([tf.constant(0), *labels]) == 0)


def _check(options: MixingOptions, reader: InputReader) -> None:
    """Raises UsageError if the records have what cannot be mixed, or lack masks."""
    names = " and ".join(f"--{name}" for name in options.used)
    if unsupported := _not_mixable(reader):
        raise UsageError(
            f"Images with such inputs cannot be mixed: {', '.join(unsupported)}.",
            where="train_input_reader",
            found=names,
            fix=f"Train without {names}.",
        )
    if options.copy_paste and not reader.load_instance_masks and _mask_type(reader) is None:
        raise UsageError(
            "--copy_paste cuts objects out by their masks, and the training records have none.",
            where=", ".join(pipeline_config.record_patterns(reader)),
            expected=f"the feature {feature_keys.MASK} in records",
            fix="Convert annotations with masks, or train without --copy_paste; "
            "--mosaic and --mixup need boxes alone.",
        )


def _not_mixable(reader: InputReader) -> list[str]:
    """The settings of a reader whose images cannot be mixed."""
    found = [name for name in _UNSUPPORTED if getattr(reader, name)]
    if reader.input_type == protos.load("input_reader").InputType.Value("TF_SEQUENCE_EXAMPLE"):
        found.append("input_type: TF_SEQUENCE_EXAMPLE")
    return found


def _mask_type(reader: InputReader) -> int | None:
    """How the first records with masks store them, as a value of mask_type; None without masks."""
    kinds = protos.load("input_reader").InstanceMaskType
    stored = {"bytes_list": "PNG_MASKS", "float_list": "NUMERICAL_MASKS"}
    try:
        for path in record_files(reader):
            for record in itertools.islice(shards.read(path), _SAMPLE):
                kind, values = example_proto.read_features(record).get(feature_keys.MASK, ("", ()))
                if kind in stored and values:
                    return int(kinds.Value(stored[kind]))
    except (DataError, LookupError):  # reading the records for training reports what is wrong
        return None
    return None


def _input_side(config: PipelineConfig) -> int:
    """The longer side of the model's input in px; a large number if images keep their sizes."""
    return max(anchors.canvas(config) or (1 << 15,))
