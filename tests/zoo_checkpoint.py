"""The variables of a real checkpoint of the zoo: a list in tests/fixtures, and the real index.

The index itself is in ../shared, which a public clone does not have; where it is present,
tests/runs/test_checkpoint_index.py compares the list with it.
"""

from pathlib import Path

from samples import SHARED

from tfod_kit.runs.checkpoint_index import OBJECT_GRAPH, VALUE, Variable

LIST = Path(__file__).parent / "fixtures" / "zoo_fpnlite_variables.txt"
REAL = SHARED / "zoo" / "ssd_mobilenet_v2_fpnlite_320x320_ckpt-0"
COUNTER = "save_counter"


def shapes() -> dict[str, tuple[int, ...]]:
    """The shape of each variable and of the save counter, by name without TensorFlow's suffix."""
    rows = [
        line.partition(" ")[::2]
        for line in LIST.read_text("utf-8").splitlines()
        if not line.startswith("#")
    ]
    return {name: tuple(map(int, sizes.split(","))) if sizes else () for name, sizes in rows}


def entries() -> dict[str, Variable]:
    """The entries of the index, as `checkpoint_index.read` returns them."""
    variables = {
        f"{name}{VALUE}": Variable(shape, "int64" if name == COUNTER else "float32")
        for name, shape in shapes().items()
    }
    return {OBJECT_GRAPH: Variable((), "string"), **variables}
