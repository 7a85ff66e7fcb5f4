"""Backslashes in the paths of a pipeline.config."""

import pytest

from tfod_kit import pipeline_config
from tfod_kit.pipeline_config.windows import repair_paths


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"C:\data\new\train.record", "C:/data/new/train.record"),
        (r"C:\data\2017\x.record", "C:/data/2017/x.record"),
        (r"C:\Users\me\n" + "\\", "C:/Users/me/n/"),
        (r"\\server\share\a.record", "//server/share/a.record"),
        (r"annotations\label_map.pbtxt", "annotations/label_map.pbtxt"),
        (r"data\train.record", "data/train.record"),
        (r"C:\\data\new", "C:/data/new"),
        (r"C:\\data\\train.record", r"C:\data\train.record"),
        (r"/home/Jos\303\251/a.record", "/home/José/a.record"),
        ("/data/a b.record", "/data/a b.record"),
    ],
)
def test_paths_from_windows(written, meant):
    text = f'train_input_reader {{ tf_record_input_reader {{ input_path: "{written}"\n }} }}'
    config = pipeline_config.loads(text)
    assert list(config.train_input_reader.tf_record_input_reader.input_path) == [meant]


def test_lists_of_paths_are_repaired_and_other_texts_left_alone():
    text = "input_path: ['C:\\a\\b', 'C:\\n']\nname: 'a\\tb'\n"
    assert repair_paths(text) == "input_path: ['C:/a/b', 'C:/n']\nname: 'a\\tb'\n"
