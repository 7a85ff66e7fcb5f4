"""Keeps the output of TensorFlow's converters off the screen, that of C++ code included."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from tfod_kit.errors import TfodKitError

_NOTED = 20  # lines added to an error


@contextmanager
def capture_output() -> Iterator[None]:
    """Discards standard output and error, of Python and of libraries, until the block ends.

    If the block raises an error, the last lines of the output are added to it as a note.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as output:
        originals = [os.dup(1), os.dup(2)]
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        try:
            yield
        except TfodKitError:
            raise  # its message is complete
        except Exception as error:
            output.seek(0)
            lines = output.read().decode(errors="replace").splitlines()[-_NOTED:]
            error.add_note("\n".join(lines))
            raise
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, original in enumerate(originals, start=1):
                os.dup2(original, number)
                os.close(original)
