"""Mosaic, mixup and copy-paste of decoded images with their ground truth, as TensorFlow operations.

A frame is the dictionary of tensors that upstream's decoder returns. Each operation takes frames
and returns a frame of the same structure, in which the rows of all objects stay in step; upstream's
own augmentations and resizing follow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tfod_kit.engine import runtime
from tfod_kit.engine.upstream import Tensor

Frame: TypeAlias = dict[str, Tensor]

IMAGE, SHAPE = "image", "original_image_spatial_shape"
BOXES, WEIGHTS, AREA = "groundtruth_boxes", "groundtruth_weights", "groundtruth_area"
CROWD, GROUP = "groundtruth_is_crowd", "groundtruth_group_of"
MASKS, MASK_WEIGHTS = "groundtruth_instance_masks", "groundtruth_instance_mask_weights"
POINTS, POINTS_SHOWN = "groundtruth_keypoints", "groundtruth_keypoint_visibilities"
# The fields with one row per object.
ROWS = (
    *(BOXES, "groundtruth_classes", WEIGHTS, AREA, CROWD, GROUP, "groundtruth_difficult"),
    *(MASKS, MASK_WEIGHTS, POINTS, POINTS_SHOWN),
)

_VISIBLE = 0.1  # the fraction of an object that must remain; less is dropped
_LEAST_PX = 2.0  # the shorter side of a box that remains
_CENTRE = (0.3, 0.7)  # where the four images of a mosaic meet
_ZOOM = (1.0, 1.5)  # of an image in a mosaic, beyond the size at which it fills its part
_PASTED_ZOOM = (0.6, 1.4)  # of the image that objects are taken from
_PASTED = 0.5  # the fraction of its objects
_MIX = 1.5  # both parameters of the beta distribution of the weights in mixup


class Dice:
    """Random numbers from a seed of two numbers; each call gives other ones, in a fixed order."""

    def __init__(self, seed: Tensor) -> None:
        self._tf = runtime.start()
        self._seed = seed
        self._rolls = 0

    def uniform(self, low: float = 0.0, high: float = 1.0, shape: Sequence[Tensor] = ()) -> Tensor:
        """Uniform numbers between `low` and `high`."""
        return self._tf.random.stateless_uniform(shape, self._next(), low, high)

    def index(self, low: int, high: int) -> Tensor:
        """A whole number from `low` to `high` - 1."""
        return self._tf.random.stateless_uniform((), self._next(), low, high, self._tf.int64)

    def beta(self, both: float) -> Tensor:
        """A number of the symmetric beta distribution."""
        one, other = (self._tf.random.stateless_gamma((), self._next(), both) for _ in range(2))
        return one / (one + other)

    def _next(self) -> Tensor:
        self._rolls += 1
        return self._tf.random.experimental.stateless_fold_in(self._seed, self._rolls)


@dataclass(frozen=True, slots=True)
class _Part:
    """A rectangle of a canvas, all in px: scalars of int32."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor
    canvas_height: Tensor
    canvas_width: Tensor


def with_all_rows(frame: Frame) -> Frame:
    """A frame whose row fields all have a row per object: those that its record lacks are 0."""
    tf = runtime.start()
    count = tf.shape(frame[BOXES])[0]

    def filled(value: Tensor) -> Tensor:
        missing = tf.maximum(count - tf.shape(value)[0], 0)
        return tf.pad(value, [[0, missing]] + [[0, 0]] * (len(value.shape) - 1))[:count]

    return {name: filled(value) if name in ROWS else value for name, value in frame.items()}


def mosaic(frame: Frame, others: Sequence[Frame], dice: Dice, longest: int) -> Frame:
    """Four images around a random point, each cropped to fill its part.

    Args:
      frame: the upper left image, whose aspect ratio the result has.
      others: the three other images.
      dice: the random numbers.
      longest: the longer side of the result in px, at most.
    """
    tf = runtime.start()
    height, width = _canvas(frame, longest)
    y, x = (_rounded(_real(side) * dice.uniform(*_CENTRE)) for side in (height, width))
    rectangles = (
        (0, 0, y, x),
        (0, x, y, width - x),
        (y, 0, height - y, x),
        (y, x, height - y, width - x),
    )
    tiles, rows = [], []
    for each, rectangle in zip([frame, *others], rectangles, strict=True):
        part = _Part(*rectangle, height, width)
        tile, objects = _placed(each, _window(each, part, dice, *_ZOOM), part)
        tiles.append(tile)
        rows.append(objects)
    pixels = tf.concat([tf.concat(tiles[:2], 1), tf.concat(tiles[2:], 1)], 0)
    return _result(frame, pixels, _joined(rows))


def mixup(frame: Frame, other: Frame, dice: Dice, longest: int) -> Frame:
    """A weighted mean of two images; the weights of the objects are multiplied likewise.

    As in Zhang et al., Bag of Freebies for Training Object Detection Neural Networks,
    arXiv:1902.04103. The other image is cropped to the shape of the first one.

    Args:
      frame, other: the two images.
      dice: the random numbers.
      longest: the longer side of the result in px, at most.
    """
    tf = runtime.start()
    height, width = _canvas(frame, longest)
    part = _Part(0, 0, height, width, height, width)
    below, behind = _placed(frame, tf.constant([0.0, 0.0, 1.0, 1.0]), part)
    above, before = _placed(other, _window(other, part, dice, 1.0, 1.0), part)
    share = dice.beta(_MIX)
    rows = _joined([_weighted(behind, share), _weighted(before, 1 - share)])
    return _result(frame, share * below + (1 - share) * above, rows)


def copy_paste(frame: Frame, other: Frame, dice: Dice) -> Frame:
    """Half of another image's objects, cut out by their masks and pasted at another scale.

    As in Ghiasi et al., Simple Copy-Paste is a Strong Data Augmentation Method for Instance
    Segmentation, arXiv:2012.07177. Boxes and masks of covered objects shrink to what is visible;
    regions of many objects are not pasted.
    """
    tf = runtime.start()
    height, width = _size(frame)
    part = _Part(0, 0, height, width, height, width)
    window = _window(other, part, dice, *_PASTED_ZOOM, inside=False)
    pixels, objects = _placed(other, window, part, inside=False)
    count = tf.shape(objects[BOXES])[0]
    chosen = dice.uniform(shape=[count]) < _PASTED
    chosen &= tf.reduce_any(objects[MASKS] > 0, axis=[1, 2]) & ~objects[CROWD] & ~objects[GROUP]
    objects = _only(objects, chosen)
    covered = tf.reduce_any(objects[MASKS] > 0, axis=0)
    image = tf.where(covered[..., tf.newaxis], pixels, tf.cast(frame[IMAGE], tf.float32))
    return _result(frame, image, _joined([_behind(frame, covered), objects]))


def _canvas(frame: Frame, longest: int) -> tuple[Tensor, Tensor]:
    """The height and width of a frame, reduced until the longer one is `longest`; at least 4 px."""
    tf = runtime.start()
    height, width = _size(frame)
    scale = tf.minimum(1.0, longest / tf.cast(tf.maximum(height, width), tf.float32))
    height, width = (tf.maximum(_rounded(scale * _real(side)), 4) for side in (height, width))
    return height, width


def _behind(frame: Frame, covered: Tensor) -> Frame:
    """The objects of a frame, of which the pixels `covered` (bool [height, width]) are hidden."""
    tf = runtime.start()
    masks = frame[MASKS]
    shown = tf.where(covered, 0.0, masks)
    before, after = (tf.reduce_sum(each, axis=[1, 2]) for each in (masks, shown))
    remaining = tf.math.divide_no_nan(after, before)
    touched = after < before
    boxes = tf.where(touched[:, tf.newaxis], _bounds(shown, frame[BOXES]), frame[BOXES])
    rows = {name: value for name, value in frame.items() if name in ROWS}
    rows |= {MASKS: shown, BOXES: boxes}
    rows[AREA] = tf.where(touched, rows[AREA] * remaining, rows[AREA])
    region = frame[CROWD] | frame[GROUP]
    kept = ~touched | (remaining >= _VISIBLE) | (region & (after > 0))
    return _only(rows, kept)


def _bounds(masks: Tensor, boxes: Tensor) -> Tensor:
    """The part of each box that its mask reaches; the box itself if the mask is empty."""
    tf = runtime.start()
    (top, bottom), (left, right) = (_ends(tf.reduce_any(masks > 0, axis)) for axis in (2, 1))
    reached = tf.stack([top, left, bottom, right], axis=1)
    low = tf.maximum(reached[:, :2], boxes[:, :2])
    high = tf.maximum(tf.minimum(reached[:, 2:], boxes[:, 2:]), low)
    empty = ~tf.reduce_any(masks > 0, axis=[1, 2])
    return tf.where(empty[:, tf.newaxis], boxes, tf.concat([low, high], axis=1))


def _ends(inside: Tensor) -> tuple[Tensor, Tensor]:
    """Where the True values of each row [n, side] begin and end, as fractions of the side."""
    tf = runtime.start()
    side = tf.shape(inside)[1]
    first = tf.argmax(tf.cast(inside, tf.int32), axis=1, output_type=tf.int32)
    last = side - tf.argmax(tf.cast(inside[:, ::-1], tf.int32), axis=1, output_type=tf.int32)
    return _real(first) / _real(side), _real(last) / _real(side)


def _window(
    frame: Frame, part: _Part, dice: Dice, low: float, high: float, *, inside: bool = True
) -> Tensor:
    """A random part of an image with the aspect ratio of a rectangle: a box [4] in fractions.

    It is the largest one divided by a zoom between `low` and `high`. If it must be inside, it
    consists of whole pixels; else it may extend beyond the image.
    """
    tf = runtime.start()
    height, width = map(_real, _size(frame))
    fill = tf.maximum(_real(part.height) / height, _real(part.width) / width)
    scale = fill * dice.uniform(low, high)
    extent = tf.stack([_real(part.height) / (scale * height), _real(part.width) / (scale * width)])
    if inside:
        extent = tf.minimum(extent, 1.0)
    origin = dice.uniform(shape=[2]) * (1.0 - extent)
    if not inside:
        return tf.concat([origin, origin + extent], axis=0)
    pixels = tf.stack([height, width])  # the edges of pixels, so that the window can be cut out
    length = tf.maximum(tf.round(extent * pixels), 1.0)
    first = tf.minimum(tf.round(origin * pixels), pixels - length)
    return tf.concat([first, first + length], axis=0) / tf.tile(pixels, [2])


def _placed(
    frame: Frame, window: Tensor, part: _Part, *, inside: bool = True
) -> tuple[Tensor, Frame]:
    """The window of a frame, resized to a rectangle of a canvas.

    Args:
      frame: the frame.
      window: what `_window` returned.
      part: the rectangle.
      inside: whether the window is inside the image, as there.

    Returns:
      The pixels of the rectangle, float32; and the rows of the objects that remain, in the
      coordinates of the canvas.
    """
    tf = runtime.start()
    if inside:
        pixels = _cut_out(frame[IMAGE], window, part)
    else:
        pixels = _resampled(frame[IMAGE][tf.newaxis], window, part)[0]
    rows = {name: value for name, value in frame.items() if name in ROWS}
    canvas = tf.stack([_real(part.canvas_height), _real(part.canvas_width)])
    size = tf.stack([_real(part.height), _real(part.width)])
    offset = tf.stack([_real(part.top), _real(part.left)])
    origin, extent = window[:2], window[2:] - window[:2]

    def to_part(points: Tensor) -> Tensor:
        return (points - origin) / extent

    def to_canvas(points: Tensor) -> Tensor:
        return (points * size + offset) / canvas

    corners = to_part(tf.reshape(rows[BOXES], [-1, 2, 2]))
    clipped = tf.clip_by_value(corners, 0.0, 1.0)
    visible = tf.math.divide_no_nan(_areas(clipped), _areas(corners))
    rows[BOXES] = tf.reshape(to_canvas(clipped), [-1, 4])
    source = extent * tf.cast(tf.stack(_size(frame)), tf.float32)
    if AREA in rows:
        rows[AREA] *= visible * tf.reduce_prod(size / source)
    if POINTS in rows:
        points = to_part(rows[POINTS])
        shown = rows[POINTS_SHOWN] & tf.reduce_all((points >= 0) & (points <= 1), axis=-1)
        rows[POINTS_SHOWN] = shown
        rows[POINTS] = tf.where(shown[..., tf.newaxis], to_canvas(points), float("nan"))
    if MASKS in rows:
        rows[MASKS] = _placed_masks(rows[MASKS], window, part)
    sides = (clipped[:, 1] - clipped[:, 0]) * size
    kept = (visible >= _VISIBLE) | (_is_region(rows) & (visible > 0))
    return pixels, _only(rows, kept & tf.reduce_all(sides >= _LEAST_PX, axis=1))


def _placed_masks(masks: Tensor, window: Tensor, part: _Part) -> Tensor:
    tf = runtime.start()
    inside = _resampled(masks[..., tf.newaxis], window, part)[..., 0] > 0.5
    below = part.canvas_height - part.top - part.height
    right = part.canvas_width - part.left - part.width
    margins = [[0, 0], [part.top, below], [part.left, right]]
    return tf.pad(tf.cast(inside, tf.float32), margins)


def _cut_out(image: Tensor, window: Tensor, part: _Part) -> Tensor:
    """The same as `_resampled` of an image [h, w, c], for whole pixels inside it: twice as fast."""
    tf = runtime.start()
    sides = tf.tile(tf.cast(tf.shape(image)[:2], tf.float32), [2])
    edges = _rounded(window * sides)
    return tf.image.resize(
        image[edges[0] : edges[2], edges[1] : edges[3]], tf.stack([part.height, part.width])
    )


def _resampled(images: Tensor, window: Tensor, part: _Part) -> Tensor:
    """The window of each image [n, h, w, c], bilinear, with the size of a rectangle; 0 outside it.

    As in upstream's resizing, pixels are not averaged when an image becomes smaller.
    """
    tf = runtime.start()
    source = tf.cast(tf.shape(images)[1:3], tf.float32)
    size = tf.stack([part.height, part.width])
    scale = tf.cast(size, tf.float32) / ((window[2:] - window[:2]) * source)
    shift = -window[:2] * source * scale
    # `tf.image.crop_and_resize` would do, but TensorFlow logs a warning for each in a data set.
    return tf.raw_ops.ScaleAndTranslate(
        images=images,
        size=size,
        scale=scale,
        translation=shift,
        kernel_type="triangle",
        antialias=False,
    )


def _result(frame: Frame, pixels: Tensor, rows: Frame) -> Frame:
    """The frame with other pixels and objects."""
    tf = runtime.start()
    image = tf.cast(tf.clip_by_value(tf.round(pixels), 0, 255), frame[IMAGE].dtype)
    return {**frame, **rows, IMAGE: image, SHAPE: tf.shape(image)[:2]}


def _joined(several: Sequence[Frame]) -> Frame:
    tf = runtime.start()
    return {
        name: tf.concat([rows[name] for rows in several], axis=0)
        for name in ROWS
        if name in several[0]
    }


def _only(rows: Frame, kept: Tensor) -> Frame:
    tf = runtime.start()
    index = tf.where(kept)[:, 0]
    return {name: tf.gather(value, index) for name, value in rows.items()}


def _weighted(frame: Frame, factor: Tensor) -> Frame:
    weights = (name for name in (WEIGHTS, MASK_WEIGHTS) if name in frame)
    return {**frame, **{name: frame[name] * factor for name in weights}}


def _is_region(rows: Frame) -> Tensor:
    """Whether each object is a region of many, of which any part counts."""
    return rows[CROWD] | rows[GROUP]


def _areas(corners: Tensor) -> Tensor:
    sides = corners[:, 1] - corners[:, 0]
    return sides[:, 0] * sides[:, 1]


def _size(frame: Frame) -> tuple[Tensor, Tensor]:
    shape = runtime.start().shape(frame[IMAGE])
    return shape[0], shape[1]


def _real(value: Tensor) -> Tensor:
    tf = runtime.start()
    return tf.cast(value, tf.float32)


def _rounded(value: Tensor) -> Tensor:
    tf = runtime.start()
    return tf.cast(tf.round(value), tf.int32)
