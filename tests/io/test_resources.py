from tfod_kit.io import resources


def test_configs_and_label_maps_are_found() -> None:
    assert list(resources.pipelines().glob("*.config"))
    assert (resources.label_maps() / "coco_2017.pbtxt").is_file()
