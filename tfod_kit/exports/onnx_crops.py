"""Crops of regions in an ONNX graph, by operations that every runtime computes alike.

tf2onnx converts CropAndResize to a Resize with a region. ONNX Runtime (seen with 1.32) ignores the
region along a side that has as many pixels as the crop, and rounds otherwise than TensorFlow: of a
region that ends with the image, it may fill the last row or column with zeros.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

_MODE = "coordinate_transformation_mode"
_ROWS, _COLUMNS = 2, 3  # axes of [1, C, height, width]


def replace(model: "GraphProto") -> None:
    """Replaces each bilinear Resize that crops, in a graph and in its subgraphs, in place."""
    for index in reversed(range(len(model.node))):
        node = model.node[index]
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                replace(inner)
        settings = {attribute.name: attribute for attribute in node.attribute}
        if node.op_type != "Resize" or _MODE not in settings:
            continue
        if settings[_MODE].s == b"tf_crop_and_resize" and settings["mode"].s == b"linear":
            outside = settings["extrapolation_value"].f if "extrapolation_value" in settings else 0
            steps = _Crop(node, outside).steps
            del model.node[index]
            for step in reversed(steps):
                model.node.insert(index, step)


class _Crop:
    """The operations that replace a Resize of an image [1, C, height, width].

    Its region is [start of each axis, end of each axis] in fractions of the distance between the
    centres of the outer pixels. The order of the operations is that of TensorFlow's kernel.

    Attributes:
      steps: the nodes, in their order.
    """

    def __init__(self, resize: "NodeProto", outside: float) -> None:
        self.steps: list[NodeProto] = []
        self._image, self._region, _, self._sizes = resize.input
        (self._output,) = resize.output
        self._shape = self._do("Shape", self._image)
        row_low, row_high, row_share, row_inside = self._axis(_ROWS)
        low, high, share, inside = self._axis(_COLUMNS)
        ends = []
        for row in (row_low, row_high):
            line = self._do("Gather", self._image, row, axis=_ROWS)
            left = self._do("Gather", line, low, axis=_COLUMNS)
            right = self._do("Gather", line, high, axis=_COLUMNS)
            ends.append(self._between(left, right, share))
        # [height] -> [height, 1], beside [width].
        axis = self._constant([1], "INT64")
        row_share, row_inside = (self._do("Unsqueeze", it, axis) for it in (row_share, row_inside))
        upper, lower = ends
        values = self._between(upper, lower, row_share)
        both = self._do("And", row_inside, inside)
        self._do("Where", both, values, self._constant(outside), output=self._output)

    def _axis(self, axis: int) -> tuple[str, str, str, str]:
        """The pixels before and after each position along an axis, its distance from the first,
        and whether it is in the image."""
        index, zero, one = (self._constant([number], "INT64") for number in (axis, 0, 1))
        count = self._do("Gather", self._sizes, index)
        last = self._float(self._do("Sub", self._do("Gather", self._shape, index), one))
        start = self._do("Gather", self._region, index)
        end = self._do("Gather", self._region, self._constant([axis + 4], "INT64"))
        extent = self._do("Mul", self._do("Sub", end, start), last)
        step = self._do("Div", extent, self._float(self._do("Sub", count, one)))
        scalars = [self._do("Squeeze", it) for it in (zero, count, one)]
        numbers = self._float(self._do("Range", *scalars))
        moved = self._do("Mul", numbers, step)
        positions = self._do("Add", self._do("Mul", start, last), moved)
        nothing = self._constant(0.0)
        inside = self._do(
            "And",
            self._do("GreaterOrEqual", positions, nothing),
            self._do("LessOrEqual", positions, last),
        )
        floor = self._do("Floor", positions)
        share = self._do("Sub", positions, floor)
        pixels = [
            self._do("Cast", self._do("Where", inside, it, nothing), to=_kind("INT64"))
            for it in (floor, self._do("Ceil", positions))
        ]
        return pixels[0], pixels[1], share, inside

    def _between(self, start: str, end: str, share: str) -> str:
        return self._do("Add", start, self._do("Mul", self._do("Sub", end, start), share))

    def _float(self, value: str) -> str:
        return self._do("Cast", value, to=_kind("FLOAT"))

    def _constant(self, value: float | list[int], kind: str = "FLOAT") -> str:
        from onnx import helper

        shape = [len(value)] if isinstance(value, list) else []
        numbers = value if isinstance(value, list) else [value]
        return self._do("Constant", value=helper.make_tensor("", _kind(kind), shape, numbers))

    def _do(self, operation: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        from onnx import helper

        name = output or f"{self._output}/crop/{len(self.steps)}"
        self.steps.append(helper.make_node(operation, inputs, [name], name, **attributes))
        return name


def _kind(name: str) -> int:
    from onnx import TensorProto

    return int(getattr(TensorProto, name))
