"""Computes ML programs of Core ML with NumPy and TensorFlow, where Core ML cannot run.

The operations are those of converted SSDs, by the documentation of MIL's ops:
https://apple.github.io/coremltools/source/coremltools.converters.mil.mil.ops.defs.html
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfod_kit.engine import runtime

Array = NDArray[Any]


def run(package: Path, image: Array) -> dict[str, Array]:
    """The outputs of the ML program in a package's pipeline.

    Args:
      package: the .mlpackage.
      image: float32 [height, width, 3], 0 to 255.
    """
    runtime.start()  # before coremltools, which imports TensorFlow
    from coremltools.converters.mil.frontend.milproto.load import load
    from coremltools.models import MLModel

    model = MLModel(str(package), skip_model_load=True)
    spec = model.get_spec()
    program = load(spec.pipeline.models[0], spec.specificationVersion, model.weights_dir)
    main = program.functions["main"]
    (name,) = main.inputs
    values: dict[str, Array] = {name: image.transpose(2, 0, 1)[None]}
    for operation in main.operations:
        if operation.op_type == "const":
            continue
        inputs = {key: _value(given, values) for key, given in operation.inputs.items()}
        (output,) = operation.outputs
        result = np.asarray(OPERATIONS[operation.op_type](**inputs))
        assert tuple(result.shape) == tuple(output.shape), operation
        values[output.name] = result
    return {output.name: values[output.name] for output in main.outputs}


def _value(given: Any, values: dict[str, Array]) -> Any:
    if isinstance(given, list | tuple):
        return [_value(each, values) for each in given]
    return values.get(given.name, given.val)


def _conv(
    x: Array,
    weight: Array,
    strides: Array,
    pad_type: str,
    pad: Array,
    dilations: Array,
    groups: int,
    bias: Array | None = None,
) -> Array:
    """x [N, C, H, W]; weight [O, C / groups, kh, kw]; groups are 1 or C."""
    tf = runtime.start()
    rows = columns = (0, 0)
    if pad_type == "same":
        kernel = weight.shape[2:]
        rows, columns = (_same(*each) for each in zip(x.shape[2:], kernel, strides, strict=True))
    elif pad_type == "custom":
        rows, columns = tuple(pad[:2]), tuple(pad[2:])
    else:
        assert pad_type == "valid"
    assert set(dilations) == {1}
    padded = np.pad(x, ((0, 0), (0, 0), rows, columns)).transpose(0, 2, 3, 1)
    steps = [1, *map(int, strides), 1]
    if groups == 1:
        result = tf.nn.conv2d(padded, weight.transpose(2, 3, 1, 0), steps, "VALID")
    else:
        assert (groups, weight.shape[1]) == (x.shape[1], 1)
        kernel = weight[:, 0].transpose(1, 2, 0)
        kernel = kernel.reshape(*kernel.shape[:2], groups, -1)
        result = tf.nn.depthwise_conv2d(padded, kernel, steps, "VALID")
    output: Array = result.numpy().transpose(0, 3, 1, 2)
    return output if bias is None else output + bias[None, :, None, None]


def _same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _slice(
    x: Array,
    begin: Array,
    end: Array,
    stride: Array | None = None,
    begin_mask: Array | None = None,
    end_mask: Array | None = None,
    squeeze_mask: Array | None = None,
) -> Array:
    none = np.zeros(x.ndim, bool)
    begins, ends = (none if mask is None else mask for mask in (begin_mask, end_mask))
    squeezed = none if squeeze_mask is None else squeeze_mask
    steps = np.ones(x.ndim, int) if stride is None else stride
    return x[
        tuple(
            int(begin[axis])
            if squeezed[axis]
            else slice(
                None if begins[axis] else int(begin[axis]),
                None if ends[axis] else int(end[axis]),
                int(steps[axis]),
            )
            for axis in range(x.ndim)
        )
    ]


def _concat(values: list[Array], axis: int, interleave: bool) -> Array:
    """With `interleave`, the first slice of each comes first, then the second of each."""
    if not interleave:
        return np.concatenate(values, axis)
    shape = list(values[0].shape)
    shape[axis] *= len(values)
    return np.stack(values, axis + 1).reshape(shape)


def _one_hot(
    indices: Array, one_hot_vector_size: int, axis: int, on_value: Any, off_value: Any
) -> Array:
    assert axis in (-1, indices.ndim)
    return np.where(indices[..., None] == np.arange(one_hot_vector_size), on_value, off_value)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "conv": _conv,
    "slice_by_index": _slice,
    "one_hot": _one_hot,
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "real_div": lambda x, y: x / y,
    "exp": lambda x: np.exp(x),
    "relu6": lambda x: np.clip(x, 0, 6),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "reshape": lambda x, shape: x.reshape(tuple(shape)),
    "transpose": lambda x, perm: x.transpose(tuple(perm)),
    "reverse": lambda x, axes: np.flip(x, tuple(axes)),
    "concat": _concat,
    "stack": lambda values, axis: np.stack(values, axis),
    "cast": lambda x, dtype: x.astype({"fp16": "float16", "fp32": "float32"}.get(dtype, dtype)),
    "reduce_argmax": lambda x, axis, keep_dims: np.argmax(x, axis, keepdims=bool(keep_dims)),
}
