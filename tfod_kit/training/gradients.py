"""Losses and gradients of a step's batches, like upstream's `eager_train_step`.

Upstream's function uses one batch and trains every variable. This one composes the same parts, and
supports several batches per step and frozen variables.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from tfod_kit.engine import runtime
from tfod_kit.engine.upstream import (
    DetectionModel,
    LossScaleOptimizer,
    Tensor,
    TrainConfig,
    Variable,
)

TOTAL_LOSS = "Loss/total_loss"


class Gradients:
    """Computes the gradients of one replica for a step.

    Args:
      model: upstream's DetectionModel.
      settings: the train_config.
      replicas: the number of replicas that share a batch.
      trainable: returns the variables to train, once they exist.
      step: the variable that counts the steps.
      clip_value: the largest absolute value in a gradient; None for no limit.
      scaler: scales the loss where gradients would be too small for float16; or None.
    """

    def __init__(
        self,
        model: DetectionModel,
        settings: TrainConfig,
        replicas: int,
        trainable: Callable[[], list[Variable]],
        step: Variable,
        *,
        clip_value: float | None = None,
        scaler: LossScaleOptimizer | None = None,
    ) -> None:
        self._tf = runtime.start()
        self._model = model
        self._settings = settings
        self._replicas = replicas
        self._trainable = trainable
        self._step = step
        self._clip_value = clip_value
        self._scaler = scaler

    def of(
        self, batches: Sequence[Tensor]
    ) -> tuple[dict[str, Tensor], list[tuple[Tensor, Variable]]]:
        """The mean losses of the batches, and (gradient, variable) of each trained variable.

        Batches are weighted by the number that their losses were divided by, so that several equal
        one large batch of the same images, except for batch normalisation.

        Args:
          batches: (features, labels) each, all of the same shape.
        """
        self._model._is_training = True
        self._tf.keras.backend.set_learning_phase(True)
        if len(batches) == 1:
            _, losses, gradients = self._of_batch(*batches[0])
        else:
            losses, gradients = self._of_several(batches)
        if self._scaler is not None:
            gradients = self._scaler.get_unscaled_gradients(gradients)
        return losses, list(zip(self._clipped(gradients), self._trainable(), strict=True))

    def _of_batch(
        self, features: Tensor, labels: Tensor
    ) -> tuple[Tensor, dict[str, Tensor], list[Tensor | None]]:
        """The weight of a batch, its losses, and a gradient or None for each variable."""
        from object_detection import model_lib, model_lib_v2

        labels = model_lib.unstack_batch(
            labels, unpad_groundtruth_tensors=self._settings.unpad_groundtruth_tensors
        )
        with self._tf.GradientTape() as tape, _batch_weights(self._tf, self._model) as weights:
            losses, _ = model_lib_v2._compute_losses_and_predictions_dicts(
                self._model,
                features,
                labels,
                training_step=self._step,
                add_regularization_loss=self._settings.add_regularization_loss,
            )
            losses = {name: value / self._replicas for name, value in losses.items()}
            total = losses[TOTAL_LOSS]
            if self._scaler is not None:
                total = self._scaler.get_scaled_loss(total)
        return weights[-1], losses, tape.gradient(total, self._trainable())

    def _of_several(
        self, batches: Sequence[Tensor]
    ) -> tuple[dict[str, Tensor], list[Tensor | None]]:
        """Runs one batch after the other through one graph, with the memory of a single batch."""
        tf = self._tf
        stacked = tf.nest.map_structure(lambda *parts: tf.stack(parts), *batches)
        variables = self._trainable()
        names: list[str] = []
        unused: set[int] = set()

        def body(
            index: Tensor, rows: Tensor, sums: list[Tensor]
        ) -> tuple[Tensor, Tensor, list[Tensor]]:
            batch = tf.nest.map_structure(lambda value: value[index], stacked)
            weight, losses, gradients = self._of_batch(*batch)
            names[:] = losses
            unused.update(number for number, each in enumerate(gradients) if each is None)
            more = [
                total if each is None else total + weight * tf.convert_to_tensor(each)
                for total, each in zip(sums, gradients, strict=True)
            ]
            return index + 1, rows.write(index, tf.stack([weight, *losses.values()])), more

        _, rows, sums = tf.while_loop(
            lambda index, *_: index < len(batches),
            body,
            (
                tf.constant(0),
                tf.TensorArray(tf.float32, len(batches), infer_shape=False),
                [tf.zeros_like(variable) for variable in variables],
            ),
            parallel_iterations=1,  # the next batch reuses the memory of this one
        )
        table = tf.ensure_shape(rows.stack(), [len(batches), 1 + len(names)])
        weights, values = table[:, :1], table[:, 1:]
        total_weight = tf.reduce_sum(weights)
        means = tf.unstack(tf.reduce_sum(weights * values, axis=0) / total_weight)
        gradients = [
            None if index in unused else total / total_weight for index, total in enumerate(sums)
        ]
        return dict(zip(names, means, strict=True)), gradients

    def _clipped(self, gradients: list[Tensor | None]) -> list[Tensor | None]:
        limit = self._clip_value
        if limit:
            gradients = [
                each
                if each is None
                else self._tf.clip_by_value(self._tf.convert_to_tensor(each), -limit, limit)
                for each in gradients
            ]
        if self._settings.gradient_clipping_by_norm:
            gradients, _ = self._tf.clip_by_global_norm(
                gradients, self._settings.gradient_clipping_by_norm
            )
        return gradients


@contextmanager
def _batch_weights(tf: ModuleType, model: DetectionModel) -> Iterator[list[Tensor]]:
    """Yields a list whose last item, after the block, is the number that losses are divided by.

    SSD divides by the number of anchors that match an object, CenterNet by the number of objects,
    and Faster R-CNN by numbers that are the same for each batch.
    """
    weights: list[Tensor] = [tf.constant(1.0)]
    if getattr(model, "_normalize_loss_by_num_matches", False):
        ssd: Any = model
        assign = ssd._assign_targets

        def assign_and_count(*args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
            targets: tuple[Tensor, ...] = assign(*args, **kwargs)
            weights.append(tf.maximum(tf.reduce_sum(targets[3]), 1.0))
            return targets

        ssd._assign_targets = assign_and_count
        try:
            yield weights
        finally:
            del ssd._assign_targets
    elif hasattr(model, "_center_params"):
        from object_detection.meta_architectures import center_net_meta_arch

        yield weights
        weights.append(
            tf.cast(
                center_net_meta_arch.get_num_instances_from_weights(
                    model.groundtruth_lists("weights")
                ),
                tf.float32,
            )
        )
    else:
        yield weights
