"""The table of patches: what upstream expects, why it no longer exists, and its replacement.

Upstream is tf-models-research-object-detection 2.8.0.post1 and tf-slim 1.1.0, written for
TensorFlow 2.8, protobuf 3, NumPy 1.2x and Pillow 9. A patch changes only the modules that need it;
TensorFlow, NumPy and Pillow are unchanged for all others.

A new patch is an entry here, a case in tests/compat/cases.py that uses upstream as its users do,
and, in tests/compat/test_patches.py, the error that is raised without the patch.
"""

from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from tfod_kit.compat import protos, stand_ins
from tfod_kit.compat.patching import Patch

PROTOS = "protobuf-descriptors"
_OD = "object_detection."
_CONTROL_FLOW = ("case", "cond", "while_loop")
# NumPy removed its aliases of Python's types in 1.24, and duplicate names of its own in 2.0.
_NUMPY_NAMES: dict[str, object] = {"int": int, "float": float, "NAN": float("nan")}


def _estimator_during() -> AbstractContextManager[object]:
    return stand_ins.importable(stand_ins.estimator())


def _estimator_needed(module: ModuleType) -> bool:
    return isinstance(module.tf_estimator.ModeKeys, type) and (
        module.tf_estimator.ModeKeys is stand_ins.ModeKeys
    )


def _tensorflow_io_during() -> AbstractContextManager[object]:
    return stand_ins.importable(stand_ins.tensorflow_io())


def _cv2_needed(module: Any) -> bool:
    return not hasattr(module.cv2, "imread")


def _cv2_during() -> AbstractContextManager[object]:
    if find_spec("cv2") is not None:
        return nullcontext()
    return stand_ins.importable(stand_ins.module_of("cv2"))


def _control_flow_needed(module: ModuleType) -> bool:
    return not all(hasattr(module.control_flow_ops, name) for name in _CONTROL_FLOW)


def _control_flow_apply(module: Any) -> None:
    from tensorflow.python.ops import cond, control_flow_case, while_loop

    module.control_flow_ops = stand_ins.extended(
        module.control_flow_ops,
        case=control_flow_case.case,
        cond=cond.cond,
        while_loop=while_loop.while_loop,
    )


def _getsize_needed(module: ModuleType) -> bool:
    return not hasattr(module.ImageFont.ImageFont, "getsize")


def _getsize_apply(module: Any) -> None:
    fonts = module.ImageFont

    def with_getsize(load: Any) -> Any:
        def load_with_getsize(*args: Any, **kwargs: Any) -> Any:
            font = load(*args, **kwargs)

            def getsize(text: str) -> tuple[int, int]:
                left, _, right, bottom = font.getbbox(text)
                return int(right - left), int(bottom)

            font.getsize = getsize
            return font

        return load_with_getsize

    module.ImageFont = stand_ins.extended(
        fonts,
        truetype=with_getsize(fonts.truetype),
        load_default=with_getsize(fonts.load_default),
    )


def _plot_bytes_needed(module: Any) -> bool:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    return not hasattr(FigureCanvasAgg, "tostring_rgb")


def _plot_bytes_apply(module: Any) -> None:
    numpy, figure = module.np, module.plt.figure

    def figure_with_tostring_rgb(*args: Any, **kwargs: Any) -> Any:
        created = figure(*args, **kwargs)

        def tostring_rgb() -> bytes:
            return bytes(numpy.asarray(created.canvas.buffer_rgba())[..., :3].tobytes())

        created.canvas.tostring_rgb = tostring_rgb
        return created

    module.plt = stand_ins.extended(module.plt, figure=figure_with_tostring_rgb)
    # Since NumPy 2.3 np.fromstring reads only text; for bytes np.frombuffer is equivalent.
    module.np = stand_ins.extended(numpy, fromstring=numpy.frombuffer)


def _numpy_needed(module: ModuleType) -> bool:
    return not all(name in vars(module.np) for name in _NUMPY_NAMES)


def numpy_apply(module: Any) -> None:
    """Gives a module its own `np`, which still has the names that NumPy removed."""
    module.np = stand_ins.extended(module.np, string_=module.np.bytes_, **_NUMPY_NAMES)


def _resnet_needed(module: ModuleType) -> bool:
    return not hasattr(module.resnet, "ResNet")


def _resnet_apply(module: Any) -> None:
    from tf_keras.src.applications import resnet

    module.resnet = resnet


def _imagenet_apply(module: Any) -> None:
    build = module.mobilenetv2.mobilenet_v2

    def mobilenet_v2(*args: Any, weights: str | None = None, **kwargs: Any) -> Any:
        if weights is not None:
            from absl import logging

            logging.info(
                "CenterNet MobileNetV2: Keras's ImageNet weights are not downloaded; the backbone "
                "starts from fine_tune_checkpoint, or from random weights without one."
            )
        return build(*args, weights=None, **kwargs)

    module.mobilenetv2 = stand_ins.extended(module.mobilenetv2, mobilenet_v2=mobilenet_v2)


def _int64_needed(module: Any) -> bool:
    try:
        module.int64_feature(True)
    except TypeError:
        return True
    return False


def _int64_apply(module: Any) -> None:
    single, many = module.int64_feature, module.int64_list_feature
    module.int64_feature = lambda value: single(int(value))
    module.int64_list_feature = lambda values: many([int(value) for value in values])


def _box_lists_apply(module: Any) -> None:
    split = module.boxes_to_box_components

    def boxes_to_box_components(bboxes: Any) -> Any:
        return split([list(map(list, boxes)) for boxes in bboxes])

    module.boxes_to_box_components = boxes_to_box_components


def _deprecation_apply(module: Any) -> None:
    module._PRINT_DEPRECATION_WARNINGS = False


PATCHES = (
    Patch(
        name=PROTOS,
        modules=(_OD + "protos.string_int_label_map_pb2", _OD + "protos.pipeline_pb2"),
        symbol="google.protobuf.descriptor.FieldDescriptor() and similar calls",
        why="protobuf 4 rejects modules generated by protoc 3; every config and label map is read "
        "with them. The remedy is the finder in `protos`, which covers all of them",
        needed=protos.is_rebuilt,
    ),
    Patch(
        name="estimator",
        modules=(_OD + "inputs", _OD + "model_lib"),
        symbol="tensorflow.compat.v1.estimator",
        why="removed in TensorFlow 2.16; `import object_detection.inputs` fails without it",
        needed=_estimator_needed,
        during=_estimator_during,
    ),
    Patch(
        name="tensorflow-io",
        modules=(_OD + "meta_architectures.deepmac_meta_arch",),
        symbol="tensorflow_io.experimental.color.rgb_to_lab",
        why="its native library is built for TensorFlow 2.16: importing it warns and takes a "
        "second, for a single function that plain TensorFlow can compute",
        during=_tensorflow_io_during,
    ),
    Patch(
        name="lvis-opencv",
        modules=("lvis.vis",),
        symbol="cv2",
        why="lvis imports OpenCV (160 MB) for a class that draws, which the kit does not use; "
        "LVIS metrics, and so all of upstream's evaluation, cannot be imported without it",
        needed=_cv2_needed,
        during=_cv2_during,
    ),
    Patch(
        name="tf-slim-control-flow",
        modules=(
            "tf_slim.data.tfexample_decoder",
            "tf_slim.layers.utils",
            "tf_slim.losses.metric_learning",
            "tf_slim.metrics.metric_ops",
        ),
        symbol="tensorflow.python.ops.control_flow_ops.case, cond, while_loop",
        why="moved to separate modules in TensorFlow 2.13; decoding a record fails without it",
        needed=_control_flow_needed,
        apply=_control_flow_apply,
    ),
    Patch(
        name="pillow-getsize",
        modules=(_OD + "utils.visualization_utils",),
        symbol="PIL.ImageFont.FreeTypeFont.getsize",
        why="removed in Pillow 10; drawing a box with its label fails without it",
        needed=_getsize_needed,
        apply=_getsize_apply,
    ),
    Patch(
        name="plot-bytes",
        modules=(_OD + "utils.visualization_utils",),
        symbol="matplotlib FigureCanvasAgg.tostring_rgb, numpy.fromstring",
        why="removed in matplotlib 3.10 and NumPy 2.3; image summaries of curves fail without it",
        needed=_plot_bytes_needed,
        apply=_plot_bytes_apply,
    ),
    Patch(
        name="numpy-names",
        modules=(_OD + "metrics.tf_example_parser", _OD + "utils.metrics", "lvis.eval"),
        symbol="numpy.int, numpy.float, numpy.string_, numpy.NAN",
        why="removed in NumPy 1.24 and 2.0; precision, recall, CorLoc and LVIS metrics fail "
        "without it",
        needed=_numpy_needed,
        apply=numpy_apply,
    ),
    Patch(
        name="keras-resnet",
        modules=(_OD + "models.keras_models.resnet_v1",),
        symbol="keras.applications.resnet.ResNet",
        why="`keras` is now Keras 3, which hides it; CenterNet ResNet 18 and 34 fail without it",
        needed=_resnet_needed,
        apply=_resnet_apply,
    ),
    Patch(
        name="no-imagenet-download",
        modules=(
            _OD + "models.center_net_mobilenet_v2_feature_extractor",
            _OD + "models.center_net_mobilenet_v2_fpn_feature_extractor",
        ),
        symbol="object_detection.models.keras_models.mobilenet_v2.mobilenet_v2(weights='imagenet')",
        why="the model downloads ImageNet weights whenever it is built, even to restore or export",
        apply=_imagenet_apply,
    ),
    Patch(
        name="int64-feature",
        modules=(_OD + "utils.dataset_util",),
        symbol="tensorflow.train.Int64List(value=[True])",
        why="since version 6 protobuf accepts no bool as an int; upstream's COCO converter writes "
        "is_crowd as one",
        needed=_int64_needed,
        apply=_int64_apply,
    ),
    Patch(
        name="box-lists",
        modules=(_OD + "dataset_tools.seq_example_util",),
        symbol="numpy.ndarray != []",
        why="since NumPy 1.25 an error instead of True; creating a SequenceExample with boxes "
        "fails without it",
        apply=_box_lists_apply,
    ),
    Patch(
        name="deprecation-noise",
        modules=("tensorflow.python.util.deprecation",),
        symbol="tensorflow.python.util.deprecation._PRINT_DEPRECATION_WARNINGS",
        why="upstream is no longer developed: users cannot fix its use of old TensorFlow calls, "
        "and hundreds of warnings hide the messages that matter",
        apply=_deprecation_apply,
    ),
)
