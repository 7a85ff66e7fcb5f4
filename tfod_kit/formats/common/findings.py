"""Records what a conversion skipped, clipped, repaired or could not decide, by reason code.

Nothing is dropped silently: code that leaves something out or changes it adds a finding, and
report.json beside the records lists them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from tfod_kit.errors import DataError, UsageError
from tfod_kit.io.files import readable

OnError = Literal["fix", "skip", "fail"]
ON_ERROR: tuple[OnError, ...] = ("fix", "skip", "fail")

EXAMPLES = 5  # of each reason, in the report


class Severity(StrEnum):
    """How safe the repair is.

    Attributes:
      NOTE: worth knowing; nothing needs to be repaired.
      FIX: there is one safe repair; `--on_error fail` refuses it.
      AMBIGUOUS: a person has to decide; `fix` and `fail` stop, `skip` leaves the item out.
    """

    NOTE = "note"
    FIX = "fix"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True)
class Reason:
    """A row of REASONS: the severity, the text of the report, and the advice."""

    severity: Severity
    text: str
    fix: str = ""


_NOTE, _FIX, _AMBIGUOUS = Severity.NOTE, Severity.FIX, Severity.AMBIGUOUS

_LOST = {
    "mask": "masks",
    "keypoints": "keypoints",
    "is_crowd": "crowd marks",
    "difficult": "marks of difficult objects",
    "truncated": "marks of truncated objects",
    "occluded": "marks of occluded objects",
    "group_of": "marks of groups",
    "area": "areas that are not the box's",
    "score": "scores",
    "view": "views",
    "weight": "weights of objects",
}

REASONS: dict[str, Reason] = {
    "image_without_annotation": Reason(_NOTE, "images that no annotation names, left out"),
    "annotation_not_in_lists": Reason(_NOTE, "annotations that no split list names, left out"),
    "image_in_several_splits": Reason(_NOTE, "images that are in more than one split"),
    "image_in_several_sources": Reason(
        _NOTE, "images that several sources annotate; each has the objects of all"
    ),
    "image_in_several_files": Reason(
        _NOTE, "images that several annotation files name with the same boxes, read once"
    ),
    "image_of_same_bytes": Reason(
        _NOTE, "images whose exact bytes are in another split too: they inflate every metric"
    ),
    "image_not_in_lists": Reason(_NOTE, "images that no split list names, left out"),
    "class_left_out": Reason(_NOTE, "objects of classes that were not chosen, left out"),
    "class_renamed": Reason(_NOTE, "objects whose class was renamed or merged, as asked"),
    "class_joined": Reason(
        _NOTE, "objects whose class has spaces, which the format written cannot hold; joined"
    ),
    "filename_differs": Reason(
        _NOTE,
        "XML files whose <filename> names another image, which exists too; the image with the XML "
        "file's own name is used",
    ),
    "lost_searched": Reason(
        _NOTE,
        "images whose lists of absent and partly annotated classes the format written cannot hold",
    ),
    "lost_negative": Reason(_NOTE, "images without objects, which the format written cannot list"),
    "image_emptied": Reason(
        _NOTE, "images without an object of the chosen classes, kept as negatives"
    ),
    "image_emptied_left_out": Reason(
        _NOTE, "images without an object of the chosen classes, left out"
    ),
    "split_assumed": Reason(_NOTE, "images without a split beside others with one, put into train"),
    "split_repeated": Reason(
        _NOTE, "splits that name the images of another split; only the first keeps them"
    ),
    "split_path_renamed": Reason(
        _NOTE, "paths of splits that lead to nothing; a folder of a similar name is read instead"
    ),
    "link_followed": Reason(_NOTE, "symbolic links that were followed"),
    "special_file": Reason(_NOTE, "FIFOs, devices and sockets, not opened"),
    "listed_twice": Reason(_NOTE, "repeated names in a split list, read once"),
    "ids_renumbered": Reason(_NOTE, "class ids were renumbered"),
    "unused_parent_class": Reason(_NOTE, "a class 0 without objects was left out"),
    "other_format_too": Reason(
        _NOTE, "annotations in another format too, without additional images; not read"
    ),
    "annotated_by_several": Reason(
        _NOTE, "images that several people annotated; one annotation of each was read"
    ),
    "boxes_in_fractions": Reason(
        _NOTE, "COCO files whose boxes are fractions of the image, read as such"
    ),
    "boxes_as_corners": Reason(
        _NOTE,
        "Parquet files whose boxes only fit their images as two corners, read as such and not as "
        "x, y, width, height",
    ),
    "not_annotated_yet": Reason(_NOTE, "images that nobody has annotated yet, left out"),
    "image_level_label": Reason(_NOTE, "labels of a whole image, without a position, left out"),
    "object_deleted": Reason(_NOTE, "objects marked as deleted, left out"),
    "relation_ignored": Reason(_NOTE, "relations between objects, left out"),
    "dont_care": Reason(_NOTE, 'regions marked as "don\'t care", left out'),
    "shape_ignored": Reason(_NOTE, "shapes that enclose nothing (points, lines), left out"),
    "box_rotated": Reason(
        _NOTE, "rotated boxes, read as the box around each; --obb mask keeps them as masks too"
    ),
    "mask_ignored": Reason(_NOTE, "masks that cannot be read, left out; their boxes are kept"),
    "image_shrunk": Reason(_NOTE, "images scaled down to --max_side, with their objects"),
    "keypoints_ignored": Reason(
        _NOTE, "keypoints that cannot be read, left out; their boxes are kept"
    ),
    "exif_turned": Reason(_FIX, "images with an EXIF orientation, which was applied to the pixels"),
    "exif_removed": Reason(
        _FIX, "EXIF orientations removed: the annotations follow the stored pixels"
    ),
    "image_reencoded": Reason(_FIX, "images that TensorFlow cannot decode, encoded again"),
    "size_missing": Reason(_FIX, "annotations without an image size; it was measured"),
    "size_wrong": Reason(_FIX, "declared image sizes that are wrong; the measured one is used"),
    "image_resized": Reason(
        _FIX,
        "images resized since they were annotated, in proportion; the boxes were scaled too",
    ),
    "box_clipped": Reason(_FIX, "boxes that extended outside the image, clipped to it"),
    "box_flipped": Reason(_FIX, "boxes whose corners were swapped, corrected"),
    "box_empty": Reason(_FIX, "boxes without area, left out"),
    "box_outside": Reason(_FIX, "boxes that are outside the image, left out"),
    "annotation_of_absent_image": Reason(
        _FIX, "annotations of images that are not listed, left out"
    ),
    "annotation_twice": Reason(_FIX, "annotations that occur twice, left out once"),
    "box_from_mask": Reason(_FIX, "objects without a box, which got the box of their outline"),
    "box_of_other_size": Reason(
        _AMBIGUOUS,
        "A box is outside the image, but inside the size that its annotation declares.",
        "The image seems to have been resized after it was annotated: restore it, or correct the "
        "annotation.",
    ),
    "box_missing": Reason(_AMBIGUOUS, "An object has no box.", "Draw it, or remove the object."),
    "number_unreadable": Reason(
        _AMBIGUOUS, "A coordinate is not a number.", "Correct it, or remove the object."
    ),
    "object_unreadable": Reason(
        _AMBIGUOUS, "An object cannot be read.", "Correct it, or remove the object."
    ),
    "class_missing": Reason(_AMBIGUOUS, "An object has no class name.", "Name it, or remove it."),
    "class_unknown": Reason(
        _AMBIGUOUS,
        "A class is not in the label map.",
        "Add it to the label map, or rename it in the annotations.",
    ),
    "image_missing": Reason(
        _AMBIGUOUS, "The image of an annotation is missing.", "Restore it, or give --images DIR."
    ),
    "image_several": Reason(
        _AMBIGUOUS, "Several images match an annotation.", "Remove or rename the wrong ones."
    ),
    "image_unusable": Reason(_AMBIGUOUS, "An image cannot be used.", "Replace the file."),
    "image_twice": Reason(
        _AMBIGUOUS, "An image is annotated twice.", "Remove or merge one of the annotations."
    ),
    "not_fractions": Reason(
        _AMBIGUOUS,
        "A coordinate is not a fraction of the image.",
        "Divide pixels by the image's width and height, percent by 100.",
    ),
    "split_path_missing": Reason(
        _AMBIGUOUS,
        "The path of a split leads to nothing.",
        "Correct the path, or remove the split.",
    ),
    "split_without_labels": Reason(
        _AMBIGUOUS,
        "No image of a split has a label file: all would count as images without objects.",
        "Restore the label files, or remove the split.",
    ),
    "labels_not_in_splits": Reason(
        _AMBIGUOUS,
        "Labelled images are in none of the declared splits.",
        "Declare their folder as a split, or remove it.",
    ),
    "objects_all_lost": Reason(
        _AMBIGUOUS,
        "Every object of a source, a split or a class was left out.",
        "Correct what they were left out for.",
    ),
    "no_objects": Reason(
        _AMBIGUOUS,
        "The data set has no object at all.",
        "Check that the annotations are those of these images.",
    ),
    "link_leads_out": Reason(
        _AMBIGUOUS,
        "A symbolic link leads out of the data set's folder.",
        "If its target is to be read, give --follow_links.",
    ),
    "row_unreadable": Reason(_AMBIGUOUS, "A row cannot be read.", "Correct the row, or remove it."),
    "annotation_unreadable": Reason(
        _AMBIGUOUS, "An annotation file cannot be read.", "Correct the file, or remove it."
    ),
    "annotation_missing": Reason(
        _AMBIGUOUS,
        "A split list names an image that has no annotation.",
        "Annotate it, or remove it from the list.",
    ),
    **{
        f"lost_{detail}": Reason(_NOTE, f"{words} that the format written cannot hold")
        for detail, words in _LOST.items()
    },
}

SKIP_HINT = "--on_error skip leaves such items out and lists them in report.json."


@dataclass(slots=True)
class _Tally:
    count: int = 0
    examples: list[str] = field(default_factory=list)


class Findings:
    """Counts findings and keeps a few examples of each.

    Args:
      on_error: "fix" makes safe repairs and stops at ambiguous findings; "skip" makes safe repairs
        and leaves ambiguous items out; "fail" stops at either.
    """

    def __init__(self, on_error: str = "fix") -> None:
        if on_error not in ON_ERROR:
            raise UsageError(
                "The error policy is unknown.",
                where="--on_error",
                expected=", ".join(ON_ERROR),
                found=on_error,
                fix="Name one of them.",
            )
        self.on_error = on_error
        self._tallies: dict[str, _Tally] = {}

    def add(
        self, code: str, where: object, found: object = None, *, fix: str = "", count: int = 1
    ) -> None:
        """Counts a finding.

        Args:
          code: a key of REASONS.
          where: the file, line or id.
          found: what was there.
          fix: more specific advice than that of REASONS, such as the most similar class name.
          count: the number of items.

        Raises:
          DataError: the policy is to stop at such findings.
        """
        reason = REASONS[code]
        if self._stops(reason.severity):
            hint = (
                SKIP_HINT if reason.severity is _AMBIGUOUS else "--on_error fix makes such repairs."
            )
            advice = fix or reason.fix
            raise DataError(
                reason.text if reason.severity is _AMBIGUOUS else f"Found: {reason.text}.",
                where=where,
                found=found,
                fix=f"{advice} {hint}".strip(),
            )
        tally = self._tallies.setdefault(code, _Tally())
        tally.count += count
        if len(tally.examples) < EXAMPLES:
            text = f"{where}: {found}" if found is not None else str(where)
            tally.examples.append(readable(text))

    def merge(self, other: "Findings") -> None:
        """Adds the findings of another, such as those of a worker process."""
        for code, theirs in other._tallies.items():
            ours = self._tallies.setdefault(code, _Tally())
            ours.count += theirs.count
            ours.examples = (ours.examples + theirs.examples)[:EXAMPLES]

    @classmethod
    def from_dict(cls, stored: Mapping[str, Mapping[str, Any]]) -> "Findings":
        """The findings from what `as_dict` returned; unknown codes are left out."""
        findings = cls()
        for code, tally in stored.items():
            if code in REASONS:
                findings._tallies[code] = _Tally(tally["count"], list(tally["examples"]))
        return findings

    @property
    def counts(self) -> Mapping[str, int]:
        """Reason code -> number of findings, in the order of REASONS."""
        return {code: self._tallies[code].count for code in REASONS if code in self._tallies}

    def as_dict(self) -> dict[str, dict[str, object]]:
        """The content of report.json: reason code -> severity, text, count and examples."""
        return {
            code: {
                "severity": REASONS[code].severity.value,
                "text": REASONS[code].text,
                "count": count,
                "examples": self._tallies[code].examples,
            }
            for code, count in self.counts.items()
        }

    def _stops(self, severity: Severity) -> bool:
        if severity is _AMBIGUOUS:
            return self.on_error != "skip"
        return severity is _FIX and self.on_error == "fail"
