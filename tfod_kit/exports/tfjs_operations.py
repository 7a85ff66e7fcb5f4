"""Operations that TensorFlow.js 4.22 lacks or computes in another way, traced as others."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tfod_kit.engine import runtime
from tfod_kit.engine.upstream import Tensor


@contextmanager
def replaced() -> Iterator[None]:
    """Replaces the operations in what is traced within the block."""
    module = runtime.start().compat.v1
    replacements = (cast, tensor_scatter_nd_add, ensure_shape)
    originals = {each.__name__: getattr(module, each.__name__) for each in replacements}
    for each in replacements:
        setattr(module, each.__name__, each)
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(module, name, original)


def cast(x: Tensor, dtype: Any, name: str | None = None) -> Tensor:
    """bool(x) as x != 0: on WebAssembly x is truncated instead, so that 0.3 becomes False.

    Upstream casts the area of a box in this way, and would discard all boxes.
    """
    tf = runtime.start()
    if dtype == tf.bool and tf.convert_to_tensor(x).dtype != tf.bool:
        return tf.not_equal(x, 0, name=name)
    return tf.cast(x, dtype, name=name)


def tensor_scatter_nd_add(
    tensor: Tensor, indices: Tensor, updates: Tensor, name: str | None = None
) -> Tensor:
    """TensorScatterAdd, by which CenterNet collects keypoints, is missing; ScatterNd is not."""
    tf = runtime.start()
    return tf.add(tensor, tf.scatter_nd(indices, updates, tf.shape(tensor)), name=name)


def ensure_shape(x: Tensor, shape: Sequence[int | None], name: str | None = None) -> Tensor:
    """EnsureShape is looked for with two inputs, although it has one."""
    result = runtime.start().identity(x, name=name)
    result.set_shape(shape)
    return result
