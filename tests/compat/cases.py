"""What each patch cures, as a program: `python cases.py with|without` prints what each case raised.

One process for all of them, since TensorFlow takes seconds to import. A case uses upstream as its
users do and knows nothing of the patch; "without" leaves all patches out but that of the protobuf
modules, which no other import survives without.
"""

import importlib.util
import json
import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path


def estimator() -> None:
    from object_detection import inputs

    inputs.tf_estimator.export.ServingInputReceiver(features={}, receiver_tensors={})


def tensorflow_io() -> None:
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        from object_detection.meta_architectures import deepmac_meta_arch
    for warning in noted:
        if "unable to load" in str(warning.message):
            raise RuntimeError(str(warning.message))
    rgb_to_lab = deepmac_meta_arch.tfio.experimental.color.rgb_to_lab
    _as_published(rgb_to_lab)
    _same_as_tensorflow_io(rgb_to_lab)


def _as_published(rgb_to_lab: Callable) -> None:
    """White, red, green and blue of sRGB in CIE L*a*b* under D65."""
    import numpy as np

    colours = np.array([[1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    expected = [[100, 0, 0], [53.24, 80.09, 67.20], [87.73, -86.18, 83.18], [32.30, 79.19, -107.86]]
    np.testing.assert_allclose(rgb_to_lab(colours[None])[0], expected, atol=2e-2)


def _same_as_tensorflow_io(rgb_to_lab: Callable) -> None:
    import numpy as np

    # The real function needs no native code, but its package cannot be imported without warnings.
    found = importlib.util.find_spec("tensorflow_io")
    if found is None:  # it has no wheel for every system
        return
    package = Path(found.origin).parent
    source = package / "python" / "experimental" / "color_ops.py"
    spec = importlib.util.spec_from_file_location("color_ops", source)
    color_ops = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(color_ops)
    image = np.random.default_rng(0).random((5, 7, 3), np.float32)
    image[0, 0] = 0.0
    image[0, 1] = 1.0
    np.testing.assert_allclose(rgb_to_lab(image), color_ops.rgb_to_lab(image), atol=2e-2)


def lvis_opencv() -> None:
    loaded = sys.modules.get("cv2")
    sys.modules["cv2"] = None  # as if it were missing: `tfod setup` does not install it
    try:
        import lvis.vis

        assert lvis.vis.LVISVis
    finally:
        sys.modules.pop("cv2", None)
        if loaded is not None:
            sys.modules["cv2"] = loaded


def tf_slim_control_flow() -> None:
    import tensorflow as tf
    from object_detection.data_decoders import tf_example_decoder

    features = {
        "image/encoded": tf.train.Feature(
            bytes_list=tf.train.BytesList(
                value=[tf.io.encode_jpeg(tf.zeros((4, 5, 3), tf.uint8)).numpy()]
            )
        ),
        "image/format": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"jpeg"])),
    }
    example = tf.train.Example(features=tf.train.Features(feature=features))
    decoded = tf_example_decoder.TfExampleDecoder().decode(example.SerializeToString())
    assert decoded["image"].shape == (4, 5, 3)


def pillow_getsize() -> None:
    import numpy as np
    from object_detection.utils import visualization_utils

    image = np.zeros((60, 60, 3), np.uint8)
    visualization_utils.draw_bounding_box_on_image_array(
        image, 0.4, 0.2, 0.8, 0.9, color="Red", display_str_list=["a cat"]
    )
    assert image[:20].any(), "the label stands above the box"


def plot_bytes() -> None:
    import tensorflow as tf
    from object_detection.utils import visualization_utils

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        visualization_utils.add_cdf_image_summary(tf.constant([0.2, 0.5, 0.3]), "losses")
        session.run(tf.compat.v1.summary.merge_all())


def numpy_names() -> None:
    import numpy as np
    from object_detection.utils import metrics

    scores, labels = np.array([0.9, 0.1]), np.array([1.0, 0.0])
    precision, recall = metrics.compute_precision_recall(scores, labels, 1)
    assert metrics.compute_average_precision(precision, recall) == 1.0
    assert np.isnan(metrics.compute_cor_loc(np.zeros(1), np.zeros(1))).all()


def keras_resnet() -> None:
    from object_detection.models.keras_models import resnet_v1

    model = resnet_v1.resnet_v1_18(include_top=False, weights=None, input_shape=(64, 64, 3))
    assert model.output_shape == (None, 2, 2, 512)


def no_imagenet_download() -> None:
    from unittest import mock

    from object_detection.models import center_net_mobilenet_v2_feature_extractor as extractor

    refused = OSError("asked for a download")
    with mock.patch("tf_keras.src.utils.data_utils.get_file", side_effect=refused):
        extractor.mobilenet_v2((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), bgr_ordering=False)


def int64_feature() -> None:
    from object_detection.utils import dataset_util

    assert dataset_util.int64_feature(True).int64_list.value == [1]
    assert dataset_util.int64_list_feature([True, False]).int64_list.value == [1, 0]


def box_lists() -> None:
    import numpy as np
    from object_detection.dataset_tools import seq_example_util

    ymin, _, _, xmax = seq_example_util.boxes_to_box_components(
        [np.array([[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]]), []]
    )
    np.testing.assert_allclose(ymin[0], [0.1, 0.5])
    np.testing.assert_allclose(xmax[0], [0.4, 0.8])
    assert ymin[1].size == 0


def deprecation_noise() -> None:
    import tensorflow as tf

    noted: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: noted.append(record.getMessage())
    logger = tf.get_logger()
    logger.addHandler(handler)
    try:
        tf.compat.v1.to_float(tf.constant(1))
    finally:
        logger.removeHandler(handler)
    if noted:
        raise RuntimeError(noted[0])


CASES = {
    "box-lists": box_lists,
    "deprecation-noise": deprecation_noise,
    "estimator": estimator,
    "int64-feature": int64_feature,
    "keras-resnet": keras_resnet,
    "lvis-opencv": lvis_opencv,
    "no-imagenet-download": no_imagenet_download,
    "numpy-names": numpy_names,
    "pillow-getsize": pillow_getsize,
    "plot-bytes": plot_bytes,
    "tensorflow-io": tensorflow_io,
    "tf-slim-control-flow": tf_slim_control_flow,
}


def main(mode: str) -> None:
    from tfod_kit import compat

    compat.activate(without=CASES if mode == "without" else ())
    raised = {}
    for name, case in CASES.items():
        try:
            case()
        except Exception as error:
            raised[name] = f"{type(error).__name__}: {error}"
    states = {state.patch.name: state.status for state in compat.report()}
    print(json.dumps({"raised": raised, "states": states}))


if __name__ == "__main__":
    main(sys.argv[1])
