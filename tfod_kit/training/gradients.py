"""Losses and gradients of a step's batches, as upstream's `eager_train_step` has them.

Upstream's function takes one batch and every variable. This one composes the same parts, for
several batches to a step and for the variables that are not frozen.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tfod_kit.engine import runtime

TOTAL_LOSS = "Loss/total_loss"


class Gradients:
    """What a replica computes for a step, before its optimiser uses it.

    Args:
      model: upstream's DetectionModel.
      settings: the train_config.
      replicas: how many take part, each with its share of the batch.
      trainable: gives the variables to train, once they exist.
      step: the variable that counts the steps.
      clip_value: the largest size of one number of a gradient; None for any.
      scaler: a LossScaleOptimizer, where gradients would be too small for float16; or None.
    """

    def __init__(
        self,
        model: Any,
        settings: Any,
        replicas: int,
        trainable: Callable[[], list[Any]],
        step: Any,
        *,
        clip_value: float | None = None,
        scaler: Any = None,
    ) -> None:
        self._tf = runtime.start()
        self._model = model
        self._settings = settings
        self._replicas = replicas
        self._trainable = trainable
        self._step = step
        self._clip_value = clip_value
        self._scaler = scaler

    def of(self, batches: Sequence[Any]) -> tuple[dict[str, Any], list[tuple[Any, Any]]]:
        """The mean losses of the batches, and (gradient, variable) of what shall change.

        Batches count by the objects that their losses were divided by, so that several are what
        one large batch of the same images is; batch normalisation alone tells them apart.

        Args:
          batches: (features, labels) each, all of one shape.
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

    def _of_batch(self, features: Any, labels: Any) -> tuple[Any, dict[str, Any], list[Any]]:
        """The weight of a batch, its losses, and a gradient or None for each variable."""
        from object_detection import model_lib, model_lib_v2

        labels = model_lib.unstack_batch(
            labels, unpad_groundtruth_tensors=self._settings.unpad_groundtruth_tensors
        )
        with self._tf.GradientTape() as tape, _weighed(self._tf, self._model) as weights:
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

    def _of_several(self, batches: Sequence[Any]) -> tuple[dict[str, Any], list[Any]]:
        """One batch after the other goes through one graph, so that only one takes memory."""
        tf = self._tf
        stacked = tf.nest.map_structure(lambda *parts: tf.stack(parts), *batches)
        variables = self._trainable()
        names: list[str] = []
        unused: set[int] = set()

        def body(place: Any, rows: Any, sums: list[Any]) -> tuple[Any, Any, list[Any]]:
            batch = tf.nest.map_structure(lambda value: value[place], stacked)
            weight, losses, gradients = self._of_batch(*batch)
            names[:] = losses
            unused.update(index for index, each in enumerate(gradients) if each is None)
            more = [
                total if each is None else total + weight * tf.convert_to_tensor(each)
                for total, each in zip(sums, gradients, strict=True)
            ]
            return place + 1, rows.write(place, tf.stack([weight, *losses.values()])), more

        _, rows, sums = tf.while_loop(
            lambda place, *_: place < len(batches),
            body,
            (
                tf.constant(0),
                tf.TensorArray(tf.float32, len(batches), infer_shape=False),
                [tf.zeros_like(variable) for variable in variables],
            ),
            parallel_iterations=1,  # the next one's memory is this one's
        )
        table = tf.ensure_shape(rows.stack(), [len(batches), 1 + len(names)])
        weights, values = table[:, :1], table[:, 1:]
        of_all = tf.reduce_sum(weights)
        means = tf.unstack(tf.reduce_sum(weights * values, axis=0) / of_all)
        gradients = [
            None if index in unused else total / of_all for index, total in enumerate(sums)
        ]
        return dict(zip(names, means, strict=True)), gradients

    def _clipped(self, gradients: list[Any]) -> list[Any]:
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
def _weighed(tf: Any, model: Any) -> Iterator[list[Any]]:
    """Tells what a batch's losses are divided by; the last of the list, after the losses.

    SSD divides by the anchors that match an object, CenterNet by the objects, and Faster R-CNN by
    numbers that are the same for each batch.
    """
    weights: list[Any] = [tf.constant(1.0)]
    if getattr(model, "_normalize_loss_by_num_matches", False):
        assign = model._assign_targets

        def assign_and_count(*args: Any, **kwargs: Any) -> Any:
            targets = assign(*args, **kwargs)
            weights.append(tf.maximum(tf.reduce_sum(targets[3]), 1.0))
            return targets

        model._assign_targets = assign_and_count
        try:
            yield weights
        finally:
            del model._assign_targets
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
