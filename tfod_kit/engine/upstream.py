"""Types of the objects that come from TensorFlow and from upstream's package.

Neither ships type information. The protocols name what tfod_kit uses of upstream's classes, private
attributes included; the aliases say which kind of untyped object a function takes.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeAlias

Tensor: TypeAlias = Any  # tf.Tensor, or a nest of them
Variable: TypeAlias = Any  # tf.Variable
Dataset: TypeAlias = Any  # tf.data.Dataset, or a distributed one
Strategy: TypeAlias = Any  # tf.distribute.Strategy
InputContext: TypeAlias = Any  # tf.distribute.InputContext
Module: TypeAlias = Any  # tf.Module, whose attributes are its own
InputReader: TypeAlias = Any  # object_detection.protos.input_reader_pb2.InputReader
TrainConfig: TypeAlias = Any  # object_detection.protos.train_pb2.TrainConfig


class DetectionModel(Protocol):
    """object_detection.core.model.DetectionModel, a tf.Module."""

    _is_training: bool

    @property
    def num_classes(self) -> int:
        """How many classes the model distinguishes."""
        ...

    @property
    def trainable_variables(self) -> list[Variable]:
        """The variables that an optimiser changes."""
        ...

    @property
    def submodules(self) -> Iterable[Module]:
        """All modules below this one, Keras layers included."""
        ...

    def preprocess(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Resizes and scales images; returns them and their shapes without padding."""
        ...

    def predict(self, preprocessed_inputs: Tensor, true_image_shapes: Tensor) -> dict[str, Tensor]:
        """The raw predictions for a batch."""
        ...

    def postprocess(
        self, prediction_dict: dict[str, Tensor], true_image_shapes: Tensor
    ) -> dict[str, Tensor]:
        """The detections of a batch of predictions."""
        ...

    def restore_from_objects(self, fine_tune_checkpoint_type: str) -> dict[str, Any]:
        """The objects that a checkpoint of this type restores, by name."""
        ...

    def groundtruth_lists(self, field: str) -> list[Tensor]:
        """The ground truth of the current batch, one tensor per image."""
        ...


class Optimizer(Protocol):
    """The Keras optimiser that upstream's optimizer_builder returns."""

    learning_rate: Any

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Tensor, Variable]]) -> Any:
        """Changes each variable by its gradient."""
        ...


class MovingAverageOptimizer(Optimizer, Protocol):
    """official.modeling.optimization.ExponentialMovingAverage."""

    _model_weights: Sequence[Variable]

    def shadow_copy(self, model: DetectionModel) -> None:
        """Creates a slot "average" for each weight."""
        ...

    def get_slot(self, var: Variable, slot_name: str) -> Variable:
        """The variable that the optimiser keeps for a weight."""
        ...


class LossScaleOptimizer(Optimizer, Protocol):
    """tf.keras.mixed_precision.LossScaleOptimizer."""

    def get_scaled_loss(self, loss: Tensor) -> Tensor:
        """The loss times the scale."""
        ...

    def get_unscaled_gradients(self, grads: Sequence[Tensor]) -> list[Tensor]:
        """The gradients divided by the scale."""
        ...
