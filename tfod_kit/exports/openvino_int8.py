"""Quantises an OpenVINO model, in an environment that has nncf but not tfod_kit.

python openvino_int8.py MODEL.xml IMAGES.npz OUT.xml
"""

import sys


def main(model: str, images: str, out: str) -> None:
    """Calibrates on the arrays of an .npz file, each an input of the model."""
    import nncf
    import numpy as np
    import openvino

    with np.load(images) as arrays:
        inputs = [arrays[name] for name in arrays.files]
    original = openvino.Core().read_model(model)
    quantised = nncf.quantize(original, nncf.Dataset(inputs), subset_size=len(inputs))
    openvino.save_model(quantised, out, compress_to_fp16=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
