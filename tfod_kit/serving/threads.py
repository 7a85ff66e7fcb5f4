"""Work in threads whose memory is counted until it has really ended."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Threads:
    """A pool of threads for coroutines.

    Args:
      count: the number of threads.
      name: the prefix of their names.
    """

    def __init__(self, count: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name)

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        """The result of work in a thread.

        If the caller is cancelled, work that has not started never does. A thread cannot be
        interrupted, so work that has started is awaited: until then it uses its memory.
        """
        future = self._pool.submit(work, *arguments)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            await until_done(asyncio.wrap_future(future))
            raise

    def close(self) -> None:
        """Ends the threads once they are idle."""
        self._pool.shutdown(wait=False)


async def until_done(future: "asyncio.Future[T]") -> None:
    """Waits for a future whatever becomes of it, even if the caller is cancelled again."""
    while not future.done():
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError:
            continue
