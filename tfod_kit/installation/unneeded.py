"""What the engine's packages declare but never import, and ranges that are wider than declared.

`tfod setup` leaves these out, tools/lock.py resolves without them, and `tfod doctor` does not miss
them. A test trains, evaluates and exports with imports of all of them forbidden.
"""

# Distribution -> who declares it, and why it is not needed.
UNNEEDED = {
    "cython": "upstream and tf-models-official: builds extensions, which their wheels do not have",
    "google-api-python-client": "tf-models-official: starts jobs on Google Cloud",
    "kaggle": "tf-models-official: downloads data sets of language models",
    "libclang": "tensorflow: reads C headers when TensorFlow itself is built",
    "oauth2client": "tf-models-official: starts jobs on Google Cloud",
    "opencv-python": "lvis: draws results, which the kit does not; cameras need it, so the extra "
    "`video` brings it",
    "opencv-python-headless": "tf-models-official: masks of its own models",
    "pandas": "upstream and tf-models-official: CSV files of Open Images' own programs",
    "py-cpuinfo": "tf-models-official: logs of benchmarks",
    "sacrebleu": "tf-models-official: metrics of translations",
    "sentencepiece": "tf-models-official: tokenises text",
    "seqeval": "tf-models-official: metrics of tagged text",
    "tensorflow-datasets": "tf-models-official: data sets of other tasks",
    "tensorflow-hub": "tf-models-official: language models",
    "tensorflow-io": "upstream: DeepMAC's colours, which compat/stand_ins.py computes; it has "
    "wheels for Linux and Python up to 3.12 only",
    "tensorflow-model-optimization": "tf-models-official: quantises its own models",
    "tensorflow-text": "tf-models-official: language models; it has no wheel for Windows",
}

# (distribution, what it requires): the declared range is narrower than what was tested.
RELAXED = {
    # 2.20.0 is the newest release, and its modules that upstream imports run on TensorFlow 2.21.
    ("tf-models-official", "tensorflow"): "tf-models-official has no release for 2.21",
    ("tf-models-official", "tensorflow-text"): "has to fit TensorFlow, and is not imported",
}
