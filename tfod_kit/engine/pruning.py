"""Pruning: sets the kernels' smallest weights to zero while the model is trained.

The share of zeros rises as Zhu & Gupta propose (arXiv:1710.01878): quickly at first, then slower,
to its end at three quarters of the training; the rest adapts the other weights. A model file does
not become smaller by itself, but its zeros compress.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfod_kit.engine import restore, runtime
from tfod_kit.engine.upstream import DetectionModel, Tensor, Variable
from tfod_kit.errors import UsageError
from tfod_kit.runs.checkpoint_index import VALUE

NAME = "pruning"  # in a checkpoint

_END = 0.75  # of the training
_UPDATES = 100  # of the masks, until then
# Depthwise kernels have few weights, each of which matters; biases and normalisations fewer.
_KERNELS = ("/kernel", "/pointwise_kernel")
_GROUP, _KEPT = 4, 2  # of 2:4


@dataclass(frozen=True, slots=True)
class Sparsity:
    """The zeros to aim at.

    Attributes:
      share: the share of zeros in each kernel, above 0 and below 1.
      grouped: whether two of each four consecutive input channels are zeros (2:4), as some
        processors need it.
    """

    share: float
    grouped: bool = False

    def __str__(self) -> str:
        return "2 of 4" if self.grouped else f"{self.share:.0%}"

    def at(self, progress: float) -> float:
        """The share of zeros after a part of the training, from 0 to 1."""
        left = max(0.0, 1 - progress / _END)
        return self.share * (1 - left**3)


GROUPED = Sparsity(0.5, grouped=True)


def stored(prefix: Path) -> Sparsity:
    """The zeros that the training of a checkpoint aims at; the checkpoint must contain masks."""
    reader = runtime.start().train.load_checkpoint(str(prefix))
    share = float(reader.get_tensor(f"{NAME}/share{VALUE}"))
    return Sparsity(share, bool(reader.get_tensor(f"{NAME}/grouped{VALUE}")))


class Pruning:
    """The masks of a model in training.

    Args:
      model: upstream's DetectionModel, whose variables exist.
      sparsity: the zeros to aim at.
      frozen: `id` of each variable that must not change.
      optimizer: the optimiser, if it averages the weights: the averages get the zeros too.

    Attributes:
      masks: the object to save as NAME in a checkpoint.

    Raises:
      UsageError: no kernel can be pruned so.
    """

    def __init__(
        self,
        model: DetectionModel,
        sparsity: Sparsity,
        frozen: frozenset[int] = frozenset(),
        optimizer: Any | None = None,
    ) -> None:
        self._tf = tf = runtime.start()
        self._sparsity = sparsity
        self._kernels = [
            variable
            for name, variable in restore.named_variables(model)
            if name.endswith(_KERNELS)
            and variable.trainable
            and id(variable) not in frozen
            and _divides(variable, sparsity)
        ]
        if not self._kernels:
            raise UsageError(
                "The model has no kernel that can be pruned.",
                where="--prune",
                expected="a kernel that is trained, for 2:4 with 4, 8, 12 ... input channels",
                fix="Freeze less, or prune to a share of zeros, such as 0.5.",
            )
        self._averages = (
            [] if optimizer is None else [optimizer.get_slot(w, "average") for w in self._kernels]
        )
        self.masks = tf.Module()
        self.masks.share = tf.Variable(sparsity.share, trainable=False)
        self.masks.grouped = tf.Variable(sparsity.grouped, trainable=False)
        self.masks.kept = [
            tf.Variable(tf.ones(kernel.shape, tf.bool), trainable=False) for kernel in self._kernels
        ]
        self._updated = -1

    def __str__(self) -> str:
        numbers = sum(kernel.shape.num_elements() for kernel in self._kernels)
        return (
            f"Pruning {len(self._kernels)} kernels ({numbers / 1e6:.1f} M numbers) to "
            f"{self._sparsity} zeros, by {_END:.0%} of the steps"
        )

    def update(self, progress: float) -> None:
        """Selects the weights that stay, from time to time until `_END`; call it before each step.

        Args:
          progress: the part of the training that is done, from 0 to 1.
        """
        current = int(min(progress / _END, 1) * _UPDATES)
        if current == self._updated:
            return
        first, self._updated = self._updated < 0, current
        if first and progress >= _END:  # a resumed training: the masks were final
            return
        share = self._sparsity.at(current / _UPDATES * _END)
        for kernel, kept in zip(self._kernels, self.masks.kept, strict=True):
            size = self._tf.abs(kernel.read_value())
            kept.assign(self._largest_of_groups(size) if self._sparsity.grouped
                        else self._largest(size, share))  # fmt: skip
        self.apply()

    def apply(self) -> None:
        """Sets the weights that do not stay to zero; to be called after each optimiser step."""
        targets = [self._kernels, self._averages] if self._averages else [self._kernels]
        for variables in targets:
            for variable, kept in zip(variables, self.masks.kept, strict=True):
                variable.assign(variable * self._tf.cast(kept, variable.dtype))

    def _largest(self, size: Tensor, share: float) -> Tensor:
        """The mask of all weights but the smallest `share` of a kernel."""
        tf = self._tf
        flat = tf.reshape(size, [-1])
        count = round(share * flat.shape[0])
        if count == 0:
            return tf.ones(size.shape, tf.bool)
        smallest = tf.argsort(flat)[:count]
        zeros = tf.scatter_nd(smallest[:, None], tf.ones(count, tf.int32), flat.shape)
        return tf.reshape(zeros == 0, size.shape)

    def _largest_of_groups(self, size: Tensor) -> Tensor:
        """The mask of the larger two of each four input channels."""
        tf = self._tf
        by_input = tf.linalg.matrix_transpose(size)  # [..., out, in]
        groups = tf.reshape(by_input, [*by_input.shape[:-1], -1, _GROUP])
        ranks = tf.argsort(tf.argsort(groups, direction="DESCENDING"))
        kept = tf.reshape(ranks < _KEPT, by_input.shape)
        return tf.cast(tf.linalg.matrix_transpose(tf.cast(kept, tf.int8)), tf.bool)


def _divides(kernel: Variable, sparsity: Sparsity) -> bool:
    return not sparsity.grouped or kernel.shape[-2] % _GROUP == 0
