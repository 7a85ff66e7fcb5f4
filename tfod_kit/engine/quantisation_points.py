"""Finds the tensors of a model that need a range for int8, by tracing one prediction.

TensorFlow Lite fuses a convolution with its bias, its batch normalisation and a ReLU, so that only
the last of them has an int8 result. Operations that only move numbers (reshaping, padding, maximum
pooling) keep the range of their input. Every other tensor needs a range of its own.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tfod_kit.engine import runtime
from tfod_kit.engine.upstream import DetectionModel, Module, Tensor

# Operations whose output has the range of their first input; of Pack and ConcatV2, of all inputs.
_MOVING = frozenset({
    "Identity", "IdentityN", "Reshape", "Squeeze", "ExpandDims", "Pad", "PadV2", "MirrorPad",
    "MaxPool", "AvgPool", "Transpose", "StridedSlice", "Slice", "ResizeNearestNeighbor",
    "ResizeBilinear", "Tile", "BroadcastTo", "Pack", "ConcatV2",
})  # fmt: skip
_JOINING = frozenset({"Pack", "ConcatV2"})
_TRANSPARENT = frozenset({"Identity", "IdentityN", "Reshape", "Squeeze", "ExpandDims"})
# Operations that the converter fuses with the one before, or, for ConcatV2, that give it a range.
_ABSORBING = frozenset({"Relu", "Relu6", "BiasAdd", "ConcatV2"})
_NOT_READING = frozenset({"Shape", "ShapeN", "Size", "Rank"})


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a layer in a prediction.

    Attributes:
      layer: the Keras layer.
      index: how many times the layer was called before.
      inputs: its input tensors.
      output: its output tensor.
    """

    layer: Module
    index: int
    inputs: tuple[Tensor, ...]
    output: Tensor


@dataclass(frozen=True, slots=True)
class Points:
    """What is quantised in one call of a layer.

    Attributes:
      layer, index: the call, as in `Call`.
      inputs: the indices of the inputs that nothing quantised before.
      inner: the number of tensors between the operations that TensorFlow Lite computes the layer
        with: one in a separable convolution, the products and partial sums in a weighted sum.
      output: whether the output is quantised.
      sigmoid: whether the output is a sigmoid's, whose range TensorFlow Lite fixes.
    """

    layer: Module
    index: int
    inputs: tuple[int, ...] = ()
    inner: int = 0
    output: bool = False
    sigmoid: bool = False


def find(model: DetectionModel) -> list[Points]:
    """The points of a model, in the order of a prediction; the same for each model of a config.

    Args:
      model: upstream's DetectionModel, an SSD or a CenterNet whose variables exist.
    """
    return _points(_traced(model))


def _traced(model: DetectionModel) -> list[Call]:
    """Traces a prediction for a blank image into a graph of its own."""
    tf = runtime.start()
    calls: list[Call] = []
    counts: dict[int, int] = {}
    threads: list[int] = []
    originals = [(layer, layer.call) for layer in _layers(model)]
    graph = tf.__internal__.FuncGraph("quantisation")

    def record(layer: Module, inputs: Tensor, output: Tensor) -> None:
        threads.append(threading.get_ident())
        if threads[0] == threads[-1]:  # the first replica; the others have threads of their own
            index = counts[id(layer)] = counts.get(id(layer), -1) + 1
            tensors = tuple(filter(tf.is_tensor, tf.nest.flatten(inputs)))
            calls.append(Call(layer, index, tensors, output))

    def recording(layer: Module, call: Module) -> Module:
        def recorded(inputs: Tensor, *args: object, **kwargs: object) -> Tensor:
            output = call(inputs, *args, **kwargs)
            # Sequential models call their layers in a graph of their own too, to infer shapes.
            here = tf.compat.v1.get_default_graph() is graph
            if here and tf.is_tensor(output) and output.dtype.is_floating:
                record(layer, inputs, output)
            return output

        return tf.autograph.experimental.do_not_convert(recorded)

    def predict() -> None:
        images, shapes = model.preprocess(tf.zeros((1, 256, 256, 3)))
        model.predict(images, shapes)

    # Always as in detection, so that training and export find the same points: dropout computes
    # something in training only. The training step turns both on when it is traced.
    training, model._is_training = model._is_training, False
    tf.keras.backend.set_learning_phase(False)
    for layer, call in originals:
        layer.call = recording(layer, call)
    try:
        with graph.as_default():
            runtime.without_autograph(tf.distribute.get_strategy().run)(predict)
    finally:
        model._is_training = training
        for layer, call in originals:
            layer.call = call
    return calls


def _layers(model: DetectionModel) -> list[Module]:
    """The layers that compute something themselves, once each."""
    kind = runtime.start().keras.layers.Layer
    layers = {id(each): each for each in model.submodules if isinstance(each, kind)}
    return [
        layer
        for layer in layers.values()
        if not any(isinstance(each, kind) for each in layer.submodules)
    ]


def _points(calls: Sequence[Call]) -> list[Points]:
    normalised = {
        _root(tensor).name
        for call in calls
        if hasattr(call.layer, "moving_mean")
        for tensor in call.inputs
    }

    def fused(root: Tensor) -> bool:
        """Whether the operation behind it is a part of the next one."""
        readers = list(_readers(root))
        alone = len(readers) == 1 and readers[0].type in _ABSORBING
        return root.name in normalised or alone

    points = []
    ranged: set[str] = set()  # the tensors that have a range
    for call in calls:
        root = _root(call.output)
        sources = [_root(tensor) for tensor in call.inputs]
        moving = root.name in {source.name for source in sources}
        missing = [
            index
            for index, source in enumerate(sources)
            if not (moving or source.name in ranged or fused(source))
        ]
        output = not moving and root.name not in ranged and not fused(root)
        if output:
            ranged.add(root.name)
        points.append(
            Points(
                call.layer,
                call.index,
                tuple(missing),
                inner=_inner(call),
                output=output,
                sigmoid=root.op.type == "Sigmoid",
            )
        )
    return points


def is_weighted_sum(layer: Module) -> bool:
    """Whether a layer is one of a BiFPN that adds feature maps with weights."""
    return getattr(layer, "combine_method", "sum") != "sum"


def _inner(call: Call) -> int:
    if is_weighted_sum(call.layer):
        return 2 * len(call.inputs) - 2
    return int(hasattr(call.layer, "pointwise_kernel"))


def _root(tensor: Tensor) -> Tensor:
    """The tensor whose range a tensor has: the result of the last operation that computes."""
    operation = tensor.op
    while operation.type in _MOVING:
        if operation.type in _JOINING:
            sources = [_root(each) for each in operation.inputs if each.dtype.is_floating]
            if len({source.name for source in sources}) != 1:
                return tensor
            return sources[0]
        index = tensor.value_index if operation.type == "IdentityN" else 0
        tensor = operation.inputs[index]
        operation = tensor.op
    return tensor


def _readers(tensor: Tensor) -> Iterator[Module]:
    """The operations that compute with a tensor."""
    for operation in tensor.consumers():
        if operation.type in _TRANSPARENT:
            for index, source in enumerate(operation.inputs):
                if source is tensor and index < len(operation.outputs):
                    yield from _readers(operation.outputs[index])
        elif operation.type not in _NOT_READING:
            yield operation
