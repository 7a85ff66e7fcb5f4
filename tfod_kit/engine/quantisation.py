"""Quantisation-aware training: a model that computes as its int8 version in TensorFlow Lite will.

Each kernel is rounded to int8 with a range for each channel, symmetric around 0, and each tensor
between operations with one range, which follows the values seen in training (Jacob et al.,
arXiv:1712.05877). Gradients pass the rounding unchanged. The layers stay the ones that upstream
built, so that the weights have their names; the ranges are saved beside them, as "quantisation".
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

from tfod_kit.engine import quantisation_points, runtime
from tfod_kit.engine.quantisation_points import Points
from tfod_kit.engine.upstream import DetectionModel, Module, Tensor, Variable
from tfod_kit.errors import CheckpointError, UsageError, first_line

Quantiser: TypeAlias = Callable[[Tensor], Tensor]

NAME = "quantisation"  # in a checkpoint
_ARCHITECTURES = ("ssd", "center_net")  # those that TensorFlow Lite takes

_DECAY = 0.99  # of the ranges, reached slowly: after n batches the decay is n / (n + 10) at most
_WARM_UP = 10.0
_SIGMOID = (0.0, 255 / 256)  # the range that TensorFlow Lite fixes
# The outputs of an SSD that its levels are concatenated into.
_OUTPUTS = ("box_encodings", "class_predictions_with_background")
_KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")


def check(architecture: str, where: object) -> None:
    """Checks that models of an architecture can be quantised.

    Raises:
      UsageError: they cannot.
    """
    if architecture not in _ARCHITECTURES:
        raise UsageError(
            "This model cannot be trained quantised; SSDs and CenterNets can.",
            where=where,
            expected="an SSD (MobileNet, ResNet, EfficientDet) or a CenterNet",
            found=architecture,
            fix="Train without --quantise, or configure another model (`tfod models`).",
        )


class Quantisation:
    """Quantises what a model computes. The model is changed in place.

    Ranges are learnt while the model is in training (`model._is_training`), and used always.

    Args:
      model: upstream's DetectionModel, an SSD or a CenterNet whose variables exist.
      kernels: whether kernels are rounded; the converter to TensorFlow Lite does that itself.

    Attributes:
      ranges: the object to save as NAME in a checkpoint.
    """

    def __init__(self, model: DetectionModel, *, kernels: bool = True) -> None:
        self._tf = runtime.start()
        self._model = model
        self._kernels = kernels
        self._calls = _Calls()
        self.ranges = self._tf.Module()
        self.ranges.batches = self._tf.Variable(
            0,
            trainable=False,
            dtype=self._tf.int64,
            synchronization=self._tf.VariableSynchronization.ON_READ,
            aggregation=self._tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
        self._bounds: list[tuple[Variable, Variable]] = []
        layers: dict[int, list[_Quantisers]] = {}
        for points in quantisation_points.find(model):
            layers.setdefault(id(points.layer), []).append(self._quantisers(points))
        for calls in layers.values():
            self._wrap(calls)
        self._wrap_predict()
        self.ranges.minimum = [low for low, _ in self._bounds]
        self.ranges.maximum = [high for _, high in self._bounds]

    def __str__(self) -> str:
        return (
            f"Training with 8-bit weights and {len(self._bounds)} 8-bit tensors, as TensorFlow "
            "Lite will compute: this model is measured"
        )

    def restore(self, prefix: Path) -> None:
        """Restores the ranges of a checkpoint.

        Raises:
          CheckpointError: the checkpoint has other ranges.
        """
        tf = self._tf
        try:
            status = tf.train.Checkpoint(**{NAME: self.ranges}).read(str(prefix))
            status.expect_partial().assert_existing_objects_matched()
        except (AssertionError, ValueError, tf.errors.OpError) as error:
            raise CheckpointError(
                "The ranges of the quantised training do not fit the model of its config.",
                where=prefix,
                found=first_line(error),
                fix="Use the pipeline.config that this checkpoint was trained with.",
            ) from error

    def _quantisers(self, points: Points) -> "_Quantisers":
        """Creates the ranges of a call."""
        output: Quantiser | None = None
        if points.output:
            output = self._sigmoid if points.sigmoid else self._range()
        return _Quantisers(
            points.layer,
            {index: self._range() for index in points.inputs},
            [self._range() for _ in range(points.inner)],
            output,
        )

    def _range(self) -> Quantiser:
        """Creates a range; returns what quantises tensors with it."""
        tf = self._tf

        def bound(name: str) -> Variable:
            return tf.Variable(
                0.0,
                trainable=False,
                name=name,
                # As the averages of batch normalisation: each replica has its own.
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.MEAN,
            )

        low, high = bound("minimum"), bound("maximum")
        self._bounds.append((low, high))

        def quantised(tensor: Tensor) -> Tensor:
            value = tf.cast(tensor, tf.float32)
            if self._model._is_training:
                self._follow(value, low, high)
            rounded = tf.quantization.fake_quant_with_min_max_vars(
                value, low.read_value(), high.read_value()
            )
            return tf.cast(rounded, tensor.dtype)

        return quantised

    def _follow(self, value: Tensor, low: Variable, high: Variable) -> None:
        """Moves a range towards the values of a tensor; it always contains 0, for padding."""
        tf = self._tf
        least = tf.minimum(tf.reduce_min(value), 0.0)
        most = tf.maximum(tf.reduce_max(value), 0.0)
        batches = tf.cast(self.ranges.batches, tf.float32)
        kept = tf.minimum(_DECAY, batches / (batches + _WARM_UP))
        low.assign(tf.stop_gradient(kept * low + (1 - kept) * least))
        high.assign(tf.stop_gradient(kept * high + (1 - kept) * most))

    def _sigmoid(self, tensor: Tensor) -> Tensor:
        return self._tf.quantization.fake_quant_with_min_max_args(tensor, *_SIGMOID)

    def _wrap(self, calls: list["_Quantisers"]) -> None:
        """Quantises around the call of a layer; `calls` are those of one prediction, in order."""
        layer = calls[0].layer
        original = layer.call

        def computed(
            inner: Sequence[Quantiser], inputs: Tensor, *args: object, **kwargs: object
        ) -> Tensor:
            if not inner:
                return original(inputs, *args, **kwargs)
            if quantisation_points.is_weighted_sum(layer):
                return self._weighted_sum(layer, inputs, inner)
            return self._separable(layer, inputs, inner[0])

        def call(inputs: Tensor, *args: object, **kwargs: object) -> Tensor:
            current = calls[min(self._calls.next(id(layer)), len(calls) - 1)]
            inputs = current.before(inputs, self._tf)
            with self._rounded_kernels(layer):
                output = computed(current.inner, inputs, *args, **kwargs)
            return output if current.output is None else current.output(output)

        layer.call = self._tf.autograph.experimental.do_not_convert(call)

    def _separable(self, layer: Module, inputs: Tensor, inner: Quantiser) -> Tensor:
        """A separable convolution: TensorFlow Lite computes it as two."""
        nn = self._tf.nn
        between = nn.depthwise_conv2d(
            inputs,
            layer.depthwise_kernel,
            (1, *layer.strides, 1),
            layer.padding.upper(),
            dilations=layer.dilation_rate,
        )
        output = nn.conv2d(inner(between), layer.pointwise_kernel, 1, "VALID")
        if layer.use_bias:
            output = nn.bias_add(output, layer.bias)
        return output if layer.activation is None else layer.activation(output)

    def _weighted_sum(
        self, layer: Module, inputs: list[Tensor], inner: Sequence[Quantiser]
    ) -> Tensor:
        """The weighted sum of feature maps in a BiFPN, as products and sums.

        Upstream stacks the maps and multiplies matrices, for which TensorFlow Lite would give all
        maps the range of one.
        """
        tf = self._tf
        count = len(inputs)
        # The sum of unit vectors is the vector of the normalised weights.
        weights = tf.unstack(layer._combine_op(tf.unstack(tf.eye(count))))
        products, sums = inner[:count], inner[count:]
        terms = [
            quantise(tensor * tf.cast(weight, tensor.dtype))
            for quantise, tensor, weight in zip(products, inputs, weights, strict=True)
        ]
        total = terms[0]
        for quantise, term in zip(sums, terms[1:-1], strict=True):
            total = quantise(total + term)
        return total + terms[-1]

    @contextmanager
    def _rounded_kernels(self, layer: Module) -> Iterator[None]:
        """Replaces the kernels of a layer by their rounded values within the block."""
        # Not setattr, with which Keras would forget the layer's variables.
        attributes: dict[str, Tensor] = layer.__dict__
        originals = {name: attributes[name] for name in _KERNELS if name in attributes}
        if self._kernels:
            for name, kernel in originals.items():
                attributes[name] = self._rounded(kernel, depthwise=name == "depthwise_kernel")
        try:
            yield
        finally:
            attributes.update(originals)

    def _rounded(self, kernel: Variable, *, depthwise: bool) -> Tensor:
        """A kernel, rounded to int8 with a range for each output channel.

        TensorFlow Lite merges batch normalisation into the kernel first. That multiplies a channel
        and its range by one factor, so the result is the same.
        """
        tf = self._tf
        value = tf.cast(tf.convert_to_tensor(kernel), tf.float32)
        channels = value.shape[-1] * (value.shape[-2] if depthwise else 1)
        flat = tf.reshape(value, [-1, channels])
        limit = tf.stop_gradient(tf.reduce_max(tf.abs(flat), axis=0))
        rounded = tf.quantization.fake_quant_with_min_max_vars_per_channel(
            flat, -limit, limit, narrow_range=True
        )
        return tf.cast(tf.reshape(rounded, value.shape), kernel.dtype)

    def _wrap_predict(self) -> None:
        """Counts the calls of each layer from 0 in each prediction, and quantises its outputs."""
        original = self._model.predict
        outputs = {}
        if hasattr(self._model, "_box_predictor"):
            outputs = {name: self._range() for name in _OUTPUTS}

        def predict(images: Tensor, true_image_shapes: Tensor) -> dict[str, Tensor]:
            self._calls.restart()
            predictions = dict(original(images, true_image_shapes))
            for name, quantise in outputs.items():
                predictions[name] = quantise(predictions[name])
            if self._model._is_training:
                self.ranges.batches.assign_add(1)
            return predictions

        changed: Module = self._model
        changed.predict = predict


@dataclass(frozen=True, slots=True)
class _Quantisers:
    """What quantises a call of a layer; fields as in `Points`."""

    layer: Module
    inputs: Mapping[int, Quantiser]
    inner: Sequence[Quantiser]
    output: Quantiser | None

    def before(self, inputs: Tensor, tf: ModuleType) -> Tensor:
        """Quantises the inputs of the layer: a tensor, or a list of them."""
        flat = tf.nest.flatten(inputs)
        for index, quantise in self.inputs.items():
            flat[index] = quantise(flat[index])
        return tf.nest.pack_sequence_as(inputs, flat)


class _Calls(threading.local):
    """Counts the calls of each layer; replicas run in threads of their own."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}

    def restart(self) -> None:
        """Starts a prediction."""
        self._counts = {}

    def next(self, layer: int) -> int:
        """The index of this call of a layer."""
        index = self._counts.get(layer, 0)
        self._counts[layer] = index + 1
        return index
