"""Why a test of upstream's fails here: by its name and the first line of its error."""

import fnmatch
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """Explains the failures of the tests that match.

    Attributes:
      test: a pattern of the test's id, with `*`.
      message: what the error's first line holds.
      text: the reason.
    """

    test: str
    message: str
    text: str


_OD = "object_detection."
_EMPTY_CONVOLUTION = (
    "TensorFlow 2.20's oneDNN convolution gives a result without elements the input's number of "
    "channels instead of the filters' (right with TF_ENABLE_ONEDNN_OPTS=0)"
)

REASONS: tuple[Reason, ...] = (
    Reason(
        _OD + "dataset_tools.context_rcnn.*",
        "name 'beam' is not defined",
        "Context R-CNN's data tools need apache-beam, which tfod_kit does not install",
    ),
    Reason(
        _OD + "core.densepose_ops_test.*.test_horizontal_flip",
        "UV_symmetry_transforms.mat; No such file",
        "flipping DensePose labels needs a table that the package does not ship; upstream's guide "
        "tells where to download it",
    ),
    Reason(
        _OD + "core.target_assigner_test.CenterNetIOUTargetAssignerTest.test_exponent",
        "within 7 places",
        "the test's own: it asks a float32 power for more digits than float32 has",
    ),
    Reason(
        _OD + "meta_architectures.center_net_meta_arch_tf2_test.*.test_non_max_suppression*",
        "only 0-dimensional arrays can be converted to Python scalars",
        "the test's own: it calls int() on an array of one element, which NumPy no longer takes",
    ),
    Reason(
        _OD + "metrics.oid_vrd_challenge_evaluation_utils_test.*",
        "to a TensorFlow DType",
        "the test's own: TensorFlow's assertAllEqual no longer compares structured NumPy arrays",
    ),
    Reason(
        _OD + "models.center_net_mobilenet_v2_feature_extractor_tf2_test.*",
        "URL fetch failure",
        "the test's own: it builds the backbone with Keras's ImageNet weights, a download",
    ),
    Reason(
        _OD + "meta_architectures.deepmac_meta_arch_test.DeepMACMaskHeadTest.test_mask_network0*",
        "got 8 and 16",
        f"{_EMPTY_CONVOLUTION}: DeepMAC's mask head on no instances; no zoo model has that head",
    ),
    Reason(
        _OD + "meta_architectures.deepmac_meta_arch_test.DeepMACMaskHeadTest.test_mask_network*",
        "Incompatible shapes: [8] vs. [0,32,32,16]",
        f"{_EMPTY_CONVOLUTION}: DeepMAC's mask head on no instances; no zoo model has that head",
    ),
    Reason(
        _OD + "models.keras_models.inception_resnet_v2_tf2_test.*.test_variable_count",
        "is incompatible with the layer",
        f"{_EMPTY_CONVOLUTION}: the test's 40-pixel image has no pixels left after six strides",
    ),
)


def find(test: str, message: str) -> Reason | None:
    """The first reason that fits a failed test; None where there is none."""
    for reason in REASONS:
        if fnmatch.fnmatchcase(test, reason.test) and reason.message in message:
            return reason
    return None
