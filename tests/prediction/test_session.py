"""What is kept, what is noted, what is followed; and the command on a trained model."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image
from samples import picture
from tfod import ENVIRONMENT, tfod
from trained import Trained

from tfod_kit import formats
from tfod_kit.core import labels
from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.core.boxes import from_pixels
from tfod_kit.errors import DataError, UsageError
from tfod_kit.prediction import frames, tracking
from tfod_kit.prediction.filters import Filters, check_classes, parse_thresholds
from tfod_kit.prediction.inputs import Input, Video
from tfod_kit.prediction.journal import NAME, Journal
from tfod_kit.runs import results


def found(label: str, score: float, x: float = 0.0) -> ObjectAnnotation:
    return ObjectAnnotation(
        label, from_pixels(x, 0, x + 40, 40, width=200, height=100), score=score
    )


def test_scores_by_class_and_classes_alone() -> None:
    objects = [found("cat", 0.6), found("dog", 0.6, 50), found("eel", 0.9, 100)]
    filters = Filters(0.5, {"dog": 0.7, "eel": 0.2}, frozenset({"cat", "dog"}))
    assert [item.label for item in filters.apply(objects)] == ["cat"]
    assert filters.floor == 0.2


def test_thresholds_come_from_texts_and_from_evaluations(tmp_path: Path) -> None:
    classes = {
        "cat": results.ClassMetrics(best=results.OperatingPoint(threshold=0.35)),
        "dog": results.ClassMetrics(),  # nothing could be measured
    }
    results.save(results.Results({}, classes, 1, 1), tmp_path / "val-5.json")
    given = [str(tmp_path / "val-5.json"), "a=b=0.25"]
    assert parse_thresholds(given) == {"cat": 0.35, "a=b": 0.25}
    for bad in ("cat", "cat=2", "=0.5", "cat=x"):
        with pytest.raises(UsageError, match="CLASS=SCORE"):
            parse_thresholds([bad])


def test_an_unknown_class_is_named_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="'circle'"):
        check_classes(["circel"], labels.from_names(["circle", "star"]), "--classes")


def test_the_journal_goes_on_after_a_cut_line_and_starts_anew_for_another_model(
    tmp_path: Path,
) -> None:
    one, two = Input(picture(tmp_path / "1.jpg")), Input(picture(tmp_path / "2.jpg"))
    with Journal(tmp_path, {"model": "a"}) as journal:
        journal.add({"file": str(one.path), "detections": []}, "1.jpg")
        journal.add({"file": str(two.path), "detections": []}, "2.jpg")
        with pytest.raises(UsageError, match="Another"):
            Journal(tmp_path, {"model": "a"})
    with (tmp_path / NAME).open("r+b") as stream:
        stream.truncate((tmp_path / NAME).stat().st_size - 9)
    with Journal(tmp_path, {"model": "a"}) as journal:
        assert (one, "1.jpg") in journal
        assert (one, "") not in journal, "now it is not to be drawn"
        assert (two, "2.jpg") not in journal, "its line was cut off"
        journal.add({"file": str(two.path), "detections": [1]}, "2.jpg")
        assert (journal.entry(two.path) or {})["detections"] == [1]
    picture(one.path, (60, 50))
    with Journal(tmp_path, {"model": "a"}) as journal:
        assert (one, "1.jpg") not in journal, "the file is another one now"
        assert (two, "2.jpg") in journal
        assert journal.changed == []
    with Journal(tmp_path, {"model": "b"}) as journal:
        assert journal.changed == ["model"]
        assert (two, "2.jpg") not in journal


def test_objects_keep_their_numbers_through_a_video() -> None:
    """Two cats pass each other at some distance, a dog lies in the same place as one of them; a
    cat with a low score for some frames goes on, noise with a low score never begins. Each object
    has its number from the first frame on."""
    tracker = tracking.Tracker(Filters(0.5), 25.0)
    assert tracker.filters.min_score == 0.25
    numbers: dict[str, set[int | None]] = {"left": set(), "right": set(), "dog": set()}
    before = None
    for frame in range(30):
        low = 0.3 if 10 <= frame < 14 else 0.9
        objects = [found("cat", low, 10 + frame), found("cat", 0.8, 150 - frame)]
        objects += [found("dog", 0.7, 10 + frame)]
        objects += [found("cat", 0.3, 80)] if frame == 12 else []
        tracked = tracker.update(objects, 200, 100)
        assert len(tracked.objects) == 3, frame
        if before is not None:
            before = tracker.backdated(before, tracked)
            for name, number in zip(numbers, before.tracks, strict=True):
                numbers[name].add(number)
        before = tracked
    assert all(len(own) == 1 for own in numbers.values()), numbers
    assert len(set().union(*numbers.values())) == 3


def test_an_object_that_appears_later_has_its_number_at_once_and_noise_has_none() -> None:
    tracker = tracking.Tracker(Filters(0.5), 25.0)
    rows = []
    for frame in range(6):
        objects = [found("cat", 0.9, 10)]
        objects += [found("cat", 0.9, 100 + frame)] if frame >= 3 else []
        objects += [found("cat", 0.9, 160)] if frame == 4 else []
        rows.append(tracker.update(objects, 200, 100))
        if frame:
            rows[-2] = tracker.backdated(*rows[-2:])
    assert [row.tracks for row in rows[:3]] == [(1,)] * 3
    assert [row.tracks[:2] for row in rows[3:]] == [(1, 2)] * 3
    assert rows[4].tracks[2] is None, "seen in one frame only"


def video(path: Path, count: int = 12, size: tuple[int, int] = (65, 48)) -> Path:
    with path.open("wb") as stream:
        writer = frames.Writer(stream, 10.0)
        for number in range(count):
            writer.add(Image.new("RGB", size, (20 * number, 0, 0)), number / 10)
        writer.close()
    return path


def test_videos_come_back_frame_by_frame(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4")
    with frames.opened(Video(path)) as reader:
        read = [(round(frame.time, 3), frame.image()) for frame in reader]
        assert (reader.rate, reader.total) == (10.0, 12)
    assert [time for time, _ in read] == [number / 10 for number in range(12)]
    assert {each.size for _, each in read} == {(64, 48)}, "H.264 wants even sides"
    assert abs(read[10][1].getpixel((5, 5))[0] - 200) < 12
    (tmp_path / "bad.mp4").write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataError, match="not a video"), frames.opened(Video(tmp_path / "bad.mp4")):
        pass


@pytest.mark.slow
def test_killed_and_run_again_nothing_is_detected_twice(trained: Trained, tmp_path: Path) -> None:
    pictures = shutil.copytree(trained.data / "unseen", tmp_path / "pictures")
    for number, path in enumerate(sorted(pictures.iterdir())):
        for again in range(2):
            shutil.copy(path, pictures / f"{number}-{again}.jpg")
    (pictures / "bad.jpg").write_text("no picture")
    video(tmp_path / "v.mp4", size=(128, 96))
    total = len(list(pictures.iterdir()))
    out = tmp_path / "out"
    options = ("--out", out, "--min_score", 0.3)
    command = ("predict", trained.export, pictures, *options)
    video_alone = ("predict", trained.export, tmp_path / "v.mp4", *options)
    with_video = ("predict", trained.export, tmp_path / "v.mp4", pictures, *options)
    process = subprocess.Popen(
        [sys.executable, "-m", "tfod_kit", *map(str, command)],
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and len(list(out.glob("*.jpg"))) < 20:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "report.json").exists()
    done = len((out / NAME).read_bytes().splitlines()) - 1
    first = (out / "0-0.jpg").stat().st_mtime_ns
    said = tfod(*command, "--save", "json,coco,csv,voc,yolo")
    assert f"Resuming: {done:,} of {total:,} are done" in said or done <= 1
    assert "1 could not be read" in said
    assert (out / "0-0.jpg").stat().st_mtime_ns == first
    document = json.loads((out / "detections.json").read_text())
    assert len(document["images"]) == total - 1
    assert len({image["file"] for image in document["images"]}) == total - 1
    report = json.loads((out / "report.json").read_text())
    assert report["unreadable"][0]["file"] == str(pictures / "bad.jpg")
    _check_data_sets(out, document, report)
    live = ("predict", trained.export, "camera:0", *options)
    said = tfod(*live, "--save", "json,coco", code=2)
    assert "cannot hold the frames of a camera" in said
    _check_frames_as_data_sets(with_video, out, total + 11)
    said = tfod(*video_alone, "--tile", 100, "--track", "--no_draw")
    assert "Starting again: changed since the last run: tile, videos" in said
    report = json.loads((out / "report.json").read_text())
    assert (report["videos"], report["frames"]) == (1, 12)


def _check_frames_as_data_sets(command: Sequence[object], out: Path, images: int) -> None:
    """The frames of a video are images of a data set, with their detections."""
    tfod(*command, "--save", "json,coco,voc")
    for name in ("coco", "voc"):
        read = {each.image.name: each for each in formats.read(out / name)}
        assert len(read) == images
        assert sorted(file for file in read if file.startswith("v-")) == [
            f"v-{index:06}.jpg" for index in range(12)
        ]
    listed = json.loads((out / "v.frames.json").read_text())["frames"]
    for row in listed:
        image = read[f"v-{row['frame']:06}.jpg"]
        assert (image.width, image.height) == (128, 96)
        assert len(image.objects) == len(row["detections"])
    assert not list(out.glob(".frames*")), "frames are copied into the data sets"


def _check_data_sets(out: Path, document: dict, report: dict) -> None:
    """What labelling tools are given, convert reads back: every box of every picture."""
    wanted = {
        Path(image["file"]).name: sorted(
            (row["label"], *(round(edge, 2) for edge in row["box"])) for row in image["detections"]
        )
        for image in document["images"]
    }
    assert sum(map(len, wanted.values())) == sum(report["objects"].values()) > 20
    for name in ("coco", "csv", "voc", "yolo"):
        read = {a.image.name: a for a in formats.read(out / name)}
        assert read.keys() == wanted.keys(), name
        assert sum(len(a.objects) for a in read.values()) == sum(map(len, wanted.values())), name
        some = min(wanted, key=lambda file: len(wanted[file]) or 1000)
        size = read[some].width
        for label, *edges in wanted[some]:
            near = pytest.approx([min(max(edge, 0), 1) for edge in edges], abs=2 / size + 0.01)
            assert any(
                item.label == label
                and [item.box.ymin, item.box.xmin, item.box.ymax, item.box.xmax] == near
                for item in read[some].objects
            ), (name, some, label, edges)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names of files are text")
def test_names_that_are_no_utf_8(trained: Trained, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    good, bad = (pictures / os.fsdecode(name) for name in (b"caf\xe9.jpg", b"bad\xe9.jpg"))
    shutil.copy(next((trained.data / "unseen").glob("*.jpg")), good)
    bad.write_text("no picture")
    out = tmp_path / "out"
    command = ("predict", trained.export, pictures, "--out", out, "--min_score", 0.2)
    for said in ("1 could not be read", "Resuming: 2 of 2 are done"):
        assert said in tfod(*command, "--save", "json,coco")
    (image,) = json.loads((out / "detections.json").read_text())["images"]
    assert bytes.fromhex(image["file_bytes"]) == os.fsencode(good)
    assert image["file"] == str(pictures / r"caf\udce9.jpg")
    assert (out / "caf_.jpg").is_file()
    ((unread,), (read,)) = (
        json.loads((out / "report.json").read_text())["unreadable"],
        formats.read(out / "coco"),
    )
    assert unread["file"] == str(pictures / r"bad\udce9.jpg")
    assert len(read.objects) == len(image["detections"]) > 0


@pytest.mark.slow
def test_nothing_but_noise_ends_with_1(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        (tmp_path / "in" / f"{number}.jpg").write_text("no picture")
    said = tfod("predict", trained.export, tmp_path / "in", "--out", tmp_path / "out", code=1)
    assert "none of them could be read" in said
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert len(report["unreadable"]) == 3
