"""How the input's data set is made; what comes out of it is looked at by test_step_options."""

from pathlib import Path

import pytest
from small_records import write_records
from tfod import small_model

from tfod_kit import pipeline_config
from tfod_kit.engine import model as models
from tfod_kit.engine import runtime
from tfod_kit.training import dataset
from tfod_kit.training.step_options import StepOptions

pytestmark = pytest.mark.slow


def halved_if_odd(number):
    if number % 2 == 1:  # of a tensor: only AutoGraph makes a graph of it
        number = number // 2
    return number


def test_autograph_is_left_out_but_where_it_is_needed():
    tf = runtime.start()
    numbers = tf.data.Dataset.range(4)
    with pytest.raises(TypeError, match="Python `bool`"):
        runtime.without_autograph(lambda: numbers.map(halved_if_odd))()
    made = dataset.without_autograph_if_possible(lambda: numbers.map(halved_if_odd))
    assert list(made.as_numpy_iterator()) == [0, 0, 2, 1]


def test_what_fails_with_autograph_too_is_raised():
    def make():
        raise TypeError("no such augmentation")

    with pytest.raises(TypeError, match="no such augmentation"):
        dataset.without_autograph_if_possible(make)


@pytest.mark.parametrize(
    ("options", "threads"), [(StepOptions(), None), (StepOptions(input_workers=3), 3)]
)
def test_no_thread_tunes_the_input_which_its_end_would_wait_for(options, threads):
    options = dataset._dataset_options(options)
    assert options.autotune.enabled is False
    assert options.threading.private_threadpool_size == threads


def first_pictures(config, seed):
    tf = runtime.start()
    tf.keras.utils.set_random_seed(seed)
    model = models.build(config, is_training=True, where=Path("x.config"))
    features, _ = next(
        iter(dataset.build(config, model, StepOptions(seed=seed, deterministic=True)))
    )
    return features["image"].numpy()


def test_random_crops_follow_the_seed_where_everything_is_determined(tmp_path):
    from tensorflow.python.framework import config as switches

    small_model(write_records(tmp_path / "records"), tmp_path / "run", "--augment", "ssd_crop")
    config = pipeline_config.load(tmp_path / "run" / "pipeline.config")
    switches.enable_op_determinism()
    try:
        one, same, other = (first_pictures(config, seed) for seed in (1, 1, 2))
    finally:
        switches.disable_op_determinism()
    assert (one == same).all()
    assert (one != other).any()
