from pathlib import Path

import pytest

from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.core.boxes import Box
from tfod_kit.datasets import class_selection
from tfod_kit.datasets.class_selection import Selection
from tfod_kit.errors import UsageError
from tfod_kit.formats.common.findings import Findings


def _image(name: str, *labels: str) -> ImageAnnotation:
    objects = tuple(ObjectAnnotation(label, Box(0.1, 0.1, 0.5, 0.5)) for label in labels)
    return ImageAnnotation(Path(name), 40, 30, name, objects)


IMAGES = [[_image("a", "cat", "dog"), _image("b", "dog")], [_image("c", "cow"), _image("d")]]
IDS = [{"cat": 3, "dog": 7}, {"cow": 9}]


def _applied(chosen: Selection) -> tuple[list[list[str]], list[dict[str, int]], Findings]:
    findings = Findings()
    images, ids = class_selection.apply(chosen, IMAGES, IDS, findings)
    labels = [[item.label for item in a.objects] for part in images for a in part]
    return labels, ids, findings


def test_nothing_chosen_changes_nothing() -> None:
    labels, ids, findings = _applied(Selection())
    assert labels == [["cat", "dog"], ["dog"], ["cow"], []]
    assert ids == IDS
    assert findings.counts == {}


def test_include_keeps_these_alone_and_numbers_them_from_1() -> None:
    labels, ids, findings = _applied(class_selection.parse(include=["dog,cow"]))
    assert labels == [["dog"], ["dog"], ["cow"], []]
    assert ids == [{"dog": 1}, {"cow": 2}]
    assert findings.counts == {"class_left_out": 1}


def test_an_image_that_loses_all_its_objects_is_a_negative_and_counted() -> None:
    labels, _, findings = _applied(class_selection.parse(exclude=["dog"]))
    assert labels == [["cat"], [], ["cow"], []]
    # "d" was a negative before, and is not counted as emptied.
    assert findings.counts == {"class_left_out": 2, "image_emptied": 1}


def test_drop_emptied_leaves_such_out_but_no_negative_of_the_data_sets_own() -> None:
    labels, _, findings = _applied(class_selection.parse(exclude=["dog"], drop_emptied=True))
    assert labels == [["cat"], ["cow"], []]
    assert findings.counts == {"class_left_out": 2, "image_emptied_left_out": 1}


def test_rename_keeps_the_ids() -> None:
    labels, ids, findings = _applied(class_selection.parse(rename=["dog=hound"]))
    assert labels[0] == ["cat", "hound"]
    assert ids == [{"cat": 3, "hound": 7}, {"cow": 9}]
    assert findings.counts == {"class_renamed": 2}


def test_merge_makes_one_class_of_several() -> None:
    labels, ids, _ = _applied(class_selection.parse(merge=["cat,dog=pet"]))
    assert labels == [["pet", "pet"], ["pet"], ["cow"], []]
    assert ids == [{"pet": 1}, {"cow": 2}]


def test_merge_into_a_class_that_there_is() -> None:
    labels, _, findings = _applied(class_selection.parse(merge=["cat,dog=dog"]))
    assert labels[0] == ["dog", "dog"]
    assert findings.counts == {"class_renamed": 1}


def test_names_are_the_data_sets_own_in_every_option() -> None:
    labels, ids, _ = _applied(class_selection.parse(include=["cat"], rename=["cat=pet"]))
    assert labels == [["pet"], [], [], []]
    assert ids == [{"pet": 1}, {}]


def test_parts_that_contradict_each_other_leave_the_numbering_to_the_label_map() -> None:
    ids = [{"cat": 1, "dog": 2}, {"dog": 1, "cow": 2}]
    _, left = class_selection.apply(class_selection.parse(exclude=["cow"]), IMAGES, ids, Findings())
    assert left == [{}, {}]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"include": ["dgo"]}, "Did you mean 'dog'"),
        ({"exclude": ["Dog"]}, "Did you mean 'dog'"),
        ({"rename": ["dgo=x"]}, "no class 'dgo'"),
        ({"rename": ["cat=dog"]}, "--merge cat,dog=dog"),
    ],
)
def test_a_class_that_there_is_not(words: dict[str, list[str]], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        _applied(class_selection.parse(**words))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"rename": ["cat"]}, "old=new"),
        ({"rename": ["cat,dog=pet"]}, "old=new"),
        ({"merge": ["=pet"]}, "a,b=c"),
        ({"merge": ["cat="]}, "a,b=c"),
        ({"rename": ["cat=a"], "merge": ["cat,dog=b"]}, "two new names"),
        ({"include": ["cat"], "exclude": ["cat"]}, "both included and excluded"),
    ],
)
def test_words_that_cannot_be_read(words: dict[str, list[str]], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        class_selection.parse(**words)


def test_swapping_two_names() -> None:
    labels, ids, _ = _applied(class_selection.parse(rename=["cat=dog", "dog=cat"]))
    assert labels == [["dog", "cat"], ["cat"], ["cow"], []]
    assert ids == [{"dog": 3, "cat": 7}, {"cow": 9}]
