"""The masks of pruning, on kernels of a few numbers."""

import numpy as np
import pytest

from tfod_kit.engine import runtime
from tfod_kit.engine.pruning import GROUPED, Pruning, Sparsity
from tfod_kit.errors import UsageError

pytestmark = pytest.mark.slow  # TensorFlow takes seconds to load


class Layer:
    """A module with one variable of a name."""

    def __new__(cls, name, shape):
        tf = runtime.start()
        values = np.random.default_rng(0).permutation(np.arange(1, 1 + np.prod(shape)))
        module = tf.Module()
        setattr(module, name, tf.Variable(values.reshape(shape).astype(np.float32)))
        return module


@pytest.fixture
def model():
    module = runtime.start().Module()
    module.first = Layer("kernel", (1, 1, 8, 5))
    module.second = Layer("depthwise_kernel", (3, 3, 8, 1))
    return module


def test_the_share_of_zeros_rises_quickly_first_and_ends_at_three_quarters():
    shares = [Sparsity(0.8).at(progress / 4) for progress in range(5)]
    assert shares[0] == 0
    assert shares[1] == pytest.approx(0.8 * (1 - (2 / 3) ** 3))
    assert shares[3] == shares[4] == pytest.approx(0.8)


def test_the_smallest_weights_of_a_kernel_become_zero_and_stay_so(model):
    pruning = Pruning(model, Sparsity(0.75))
    kernel = model.first.kernel
    pruning.update(0.0)
    assert np.count_nonzero(kernel) == 40
    pruning.update(0.75)
    assert sorted(kernel.numpy()[kernel.numpy() != 0]) == list(range(31, 41))
    kept = kernel.numpy() != 0
    kernel.assign_add(runtime.start().ones(kernel.shape))  # an optimiser step
    pruning.apply()
    assert np.array_equal(kernel.numpy() != 0, kept)
    assert kernel.numpy().max() == 41
    pruning.update(1.0)
    assert np.array_equal(kernel.numpy() != 0, kept)
    assert np.count_nonzero(model.second.depthwise_kernel) == 72


def test_two_of_four_input_channels_stay(model):
    before = model.first.kernel.numpy()
    Pruning(model, GROUPED).update(0.0)
    after = model.first.kernel.numpy()
    groups = after.reshape(2, 4, 5)
    assert (np.count_nonzero(groups, axis=1) == 2).all()
    smallest_kept = np.where(groups == 0, np.inf, groups).min(axis=1)
    dropped = np.where(groups == 0, before.reshape(2, 4, 5), 0).max(axis=1)
    assert (smallest_kept > dropped).all()


def test_a_resumed_training_keeps_its_final_masks(model):
    pruning = Pruning(model, Sparsity(0.5))
    pruning.update(1.0)  # the first call of a resumed training
    assert np.count_nonzero(model.first.kernel) == 40  # the masks of the checkpoint, here all ones


def test_frozen_kernels_stay_and_nothing_to_prune_is_an_error(model):
    frozen = frozenset([id(model.first.kernel)])
    with pytest.raises(UsageError, match="no kernel"):
        Pruning(model, Sparsity(0.5), frozen)
