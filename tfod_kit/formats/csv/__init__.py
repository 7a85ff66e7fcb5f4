"""CSV: one row per box, with columns recognised by name, as in Roboflow's or BCCD's tables.

A table needs a column for the image, one for the class and those of the box: two corners, a corner
and a size, or a centre and a size. The names may be any of the usual ones, in any order, separated
by commas, semicolons, tabs or bars; columns of other names are named by `--columns`. A label map of
one class replaces the column of the class. Coordinates are pixels, or fractions if no
coordinate of a file exceeds 1 and one is not a whole number. A row without a box is an image
without objects.

Written: SPLIT.csv beside images/SPLIT, with the columns of the raccoon tutorial and one for each
flag that is set anywhere.
"""

from tfod_kit.formats.base import Format
from tfod_kit.formats.csv.columns import FLAGS, ROLES, advice, check_columns, parse_columns
from tfod_kit.formats.csv.reader import discover, read
from tfod_kit.formats.csv.writer import write

__all__ = ["FORMAT", "ROLES", "check_columns", "parse_columns"]

FORMAT = Format(
    title="CSV",
    discover=discover,
    read=read,
    expects="tables (*.csv) whose header names the image, the class and the box, such as "
    "filename,width,height,class,xmin,ymin,xmax,ymax",
    keeps=frozenset((*FLAGS.values(), "score")),
    write=write,
    advice=advice,
)
