"""Stand-ins for the test data that upstream's tests look for and the installed package lacks.

They have the names and the shapes that the tests rely on; the images are generated. With them the
tests of the training loop, of fine-tuning and of the input readers run at all.
"""

import sys
from pathlib import Path
from types import ModuleType

_ROOT = Path(__file__).resolve().parents[2]
_CLASSES = ("Abyssinian", "american_bulldog", *(f"pet_{number}" for number in range(3, 38)))
_IMAGES = 4
_SIZE = 160


def make(folder: Path) -> Path:
    """Writes the files into `folder`/object_detection, laid out as in upstream's repository."""
    from tfod_kit.core import labels
    from tfod_kit.io import files

    root = folder / "object_detection"
    labels.save(labels.from_names(_CLASSES), root / "data" / "pet_label_map.pbtxt")
    config = (_ROOT / "pipelines" / "ssd_mobilenet_v2_cpu.config").read_text(encoding="utf-8")
    config = config.replace("num_classes: 1", f"num_classes: {len(_CLASSES)}")
    files.write_text(root / "samples" / "configs" / "ssd_mobilenet_v2_pets_keras.config", config)
    files.write_bytes(root / "test_data" / "pets_examples.record", _records())
    files.write_bytes(root / "test_images" / "image1.jpg", _jpeg(300, 200, seed=0))
    return root


def serve(root: Path, package: Path) -> None:
    """Makes `tf.resource_loader` answer with the stand-ins' place; call before a test's import."""
    from tensorflow.compat.v1 import resource_loader

    def get_data_files_path() -> str:
        caller = Path(sys._getframe(1).f_globals["__file__"])
        return str(root / caller.parent.relative_to(package))

    _set(resource_loader, get_data_files_path=get_data_files_path)


def split_cpu() -> None:
    """Lets TensorFlow see two CPUs in this process; call before it runs anything."""
    import tensorflow as tf

    one = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(one, [tf.config.LogicalDeviceConfiguration()] * 2)


def _set(module: ModuleType, **members: object) -> None:
    vars(module).update(members)


def _jpeg(width: int, height: int, seed: int) -> bytes:
    import io

    import numpy as np
    from PIL import Image

    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG")
    return stream.getvalue()


def _records() -> bytes:
    """The images as TFRecords, written by TensorFlow, not by tfod_kit."""
    import tempfile

    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pets.record"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for number in range(_IMAGES):
                writer.write(_example(number))
        return path.read_bytes()


def _example(number: int) -> bytes:
    import tensorflow as tf

    values: dict[str, bytes | int | float] = {
        "image/source_id": str(number).encode(),
        "image/filename": f"{number}.jpg".encode(),
        "image/encoded": _jpeg(_SIZE, _SIZE, seed=number),
        "image/format": b"jpeg",
        "image/height": _SIZE,
        "image/width": _SIZE,
        "image/object/class/text": _CLASSES[number].encode(),
        "image/object/class/label": number + 1,
        "image/object/bbox/ymin": 0.1,
        "image/object/bbox/xmin": 0.2,
        "image/object/bbox/ymax": 0.7,
        "image/object/bbox/xmax": 0.9,
        "image/object/difficult": 0,
    }
    example = tf.train.Example()
    for key, value in values.items():
        feature = example.features.feature[key]
        kind = {bytes: "bytes_list", int: "int64_list", float: "float_list"}[type(value)]
        getattr(feature, kind).value.append(value)
    return example.SerializeToString()
