"""What can be wrong with a record's encoded image, judging by its first and last bytes."""

from tfod_kit.checks.findings import CheckFindings, Location
from tfod_kit.checks.scanning.fast_record_parser import ParsedRecord
from tfod_kit.checks.scanning.features import RecordFeatures
from tfod_kit.records import feature_keys, image_headers
from tfod_kit.records.image_headers import Header

CODES = (
    "image_missing",
    "image_undecodable",
    "image_cut_short",
    "image_cmyk",
    "image_turned",
    "format_raw",
    "size_missing",
    "size_wrong",
)
_CONVERT = "Convert the data set again with `tfod convert`"


def check(
    record: ParsedRecord, features: RecordFeatures, where: Location, findings: CheckFindings
) -> tuple[int, int]:
    """Reports what is wrong with an image; returns its (width, height) in px.

    The size is the image header's, or the record's if the header cannot be read.
    """
    stated = features.first(feature_keys.WIDTH, 0), features.first(feature_keys.HEIGHT, 0)
    if record.start == record.end:
        findings.error(
            "image_missing",
            f"There is no image ({feature_keys.ENCODED}).",
            where,
            fix=f"{_CONVERT}.",
        )
        return stated
    header = image_headers.read(record.data, record.start, record.end)
    if not header.format:
        findings.error(
            "image_undecodable",
            "Upstream cannot read the image: training stops with 'Unable to decode bytes as JPEG, "
            "PNG, GIF, or BMP' (GIF and WebP: 'Incompatible shapes').",
            where.with_found(header.looks_like),
            fix=f"{_CONVERT}: it encodes such images again, and names files that are not images.",
        )
        return stated
    _check_header(header, where, findings)
    if features.first(feature_keys.FORMAT, b"") == b"raw":
        findings.error(
            "format_raw",
            f"{feature_keys.FORMAT} is 'raw', and the image is encoded.",
            where,
            fix=f"{_CONVERT}.",
        )
    _check_size((header.width, header.height), stated, where, findings)
    return (header.width, header.height) if header.width else stated


def _check_header(header: Header, where: Location, findings: CheckFindings) -> None:
    if not header.complete:
        findings.error(
            "image_cut_short",
            "The image is cut short: training stops with 'Invalid JPEG data' or 'Invalid PNG "
            "data'.",
            where,
            fix="Replace the file, and convert the data set again.",
        )
    if header.format == "jpeg" and header.channels == 4:
        findings.warning(
            "image_cmyk",
            "The image is a CMYK JPEG, whose colours TensorFlow may get wrong.",
            where,
            fix=f"{_CONVERT}: it encodes such images again.",
        )
    if header.orientation != 1:
        findings.warning(
            "image_turned",
            "The image has an EXIF orientation, which TensorFlow ignores: the boxes may belong to "
            "the rotated image.",
            where.with_found(f"orientation {header.orientation}"),
            fix=f"{_CONVERT}: it rotates the pixels themselves.",
        )


def _check_size(
    actual: tuple[int, int], stated: tuple[int, int], where: Location, findings: CheckFindings
) -> None:
    if not all(stated):
        findings.warning(
            "size_missing",
            "The image's size is not stated: masks and evaluation go wrong.",
            where,
            fix=f"{_CONVERT}.",
        )
    elif actual[0] and actual != stated:
        findings.error(
            "size_wrong",
            "The stated size is not the image's: masks and evaluation go wrong, and the boxes "
            "probably belong to another size.",
            where.with_found(f"stated {_text(stated)}, actually {_text(actual)}"),
            fix=f"{_CONVERT}.",
        )


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
