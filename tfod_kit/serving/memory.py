"""Bounds the memory that requests take, and returns freed memory to the system."""

import asyncio
import ctypes
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

_BLOCK_BYTES = 2**29  # of Pillow's memory


class Held:
    """Bytes that are in use, of one lane."""

    def __init__(self, lane: "_Lane", size: int) -> None:
        self._lane = lane
        self._size = size

    def reduce(self, size: int) -> None:
        """Gives back all but `size` bytes."""
        if size < self._size:
            self._lane.release(self._size - size)
            self._size = size


class Memory:
    """A number of bytes, handed out in order of arrival.

    A quarter of them is kept for small uses, which therefore never wait behind large ones; and
    large ones have the rest, so that small ones never keep them waiting either.

    Args:
      total: bytes.
      small: the most bytes of a small use.
    """

    def __init__(self, total: int, small: int) -> None:
        self._small_use = small
        self._small = _Lane(total - largest_use(total))
        self._large = _Lane(largest_use(total))

    @property
    def largest(self) -> int:
        """The most bytes that one use can have."""
        return self._large.total

    @property
    def used(self) -> int:
        """Bytes in use."""
        return self._small.used + self._large.used

    def is_small(self, size: int) -> bool:
        """Whether a use of `size` bytes counts as small."""
        return size <= min(self._small_use, self._small.total)

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[Held]:
        """Waits until `size` bytes, `largest` at most, are free, and holds them in the block."""
        lane = self._small if self.is_small(size) else self._large
        await lane.acquire(size)
        held = Held(lane, size)
        try:
            yield held
        finally:
            held.reduce(0)


def largest_use(total: int) -> int:
    """The bytes of a Memory that one use can have."""
    return total - total // 4


def total_for(use: int) -> int:
    """The smallest total for which `largest_use` is `use` or more."""
    return -(-use * 4 // 3)


class _Lane:
    def __init__(self, total: int) -> None:
        self.total = total
        self.used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def acquire(self, size: int) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._admit()  # it may have been the first in the queue, and the next one fits
            else:
                self.release(size)
            raise

    def release(self, size: int) -> None:
        self.used -= size
        self._admit()

    def _admit(self) -> None:
        while self._waiting:
            size, turn = self._waiting[0]
            if not turn.done():  # otherwise its client is gone
                if self.used + size > self.total:
                    return
                self.used += size
                turn.set_result(None)
            self._waiting.popleft()


def use_returnable_blocks() -> None:
    """Has Pillow allocate each image as one block, for this process.

    The C library returns a block of 32 MB or more to the system as soon as it is freed, but keeps
    the blocks of 16 MB that Pillow divides an image into by default.
    """
    from PIL import Image

    core: Any = vars(Image)["core"]
    core.set_block_size(_BLOCK_BYTES)


def return_freed() -> None:
    """Returns freed memory to the system, where the C library can (glibc)."""
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Any:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
