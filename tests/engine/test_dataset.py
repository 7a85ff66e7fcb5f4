"""How the input's data set is made; what comes out of it is looked at by test_levers."""

import pytest

from tfod_kit.engine import dataset, runtime
from tfod_kit.engine.levers import Levers

pytestmark = pytest.mark.slow


def halved_if_odd(number):
    if number % 2 == 1:  # of a tensor: only AutoGraph makes a graph of it
        number = number // 2
    return number


def test_autograph_is_left_out_but_where_it_is_needed():
    tf = runtime.start()
    numbers = tf.data.Dataset.range(4)
    with pytest.raises(TypeError, match="Python `bool`"):
        runtime.as_written(lambda: numbers.map(halved_if_odd))()
    made = dataset.quickly(lambda: numbers.map(halved_if_odd))
    assert list(made.as_numpy_iterator()) == [0, 0, 2, 1]


def test_what_fails_with_autograph_too_is_raised():
    def make():
        raise TypeError("no such augmentation")

    with pytest.raises(TypeError, match="no such augmentation"):
        dataset.quickly(make)


@pytest.mark.parametrize(("levers", "threads"), [(Levers(), None), (Levers(input_workers=3), 3)])
def test_no_thread_tunes_the_input_which_its_end_would_wait_for(levers, threads):
    options = dataset._options(levers)
    assert options.autotune.enabled is False
    assert options.threading.private_threadpool_size == threads
