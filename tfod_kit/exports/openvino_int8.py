"""Quantises an OpenVINO model, in an environment of its own that has nncf and nothing of ours.

python openvino_int8.py MODEL.xml PICTURES.npz OUT.xml
"""

import sys


def main(model: str, pictures: str, out: str) -> None:
    """Calibrates on the arrays of an .npz file, each an input of the model."""
    import nncf
    import numpy as np
    import openvino

    with np.load(pictures) as held:
        images = [held[name] for name in held.files]
    found = openvino.Core().read_model(model)
    quantised = nncf.quantize(found, nncf.Dataset(images), subset_size=len(images))
    openvino.save_model(quantised, out, compress_to_fp16=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
