"""Reading ahead: the next batches are made while the present one is worked on."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

A = TypeVar("A")
R = TypeVar("R")

AHEAD = 3  # batches


@contextmanager
def ahead(make: Callable[[A], R], arguments: Iterable[A]) -> Iterator[Iterator[R]]:
    """Give an iterator over `make` of each argument, in order, made by a thread at most AHEAD in advance.

    What `make` raises is raised where its result would have come. The thread ends with the block.
    """
    with ThreadPoolExecutor(1, "ahead") as thread:
        try:
            yield _results(thread, make, iter(arguments))
        finally:
            thread.shutdown(cancel_futures=True)


def _results(thread: ThreadPoolExecutor, make: Callable[[A], R], arguments: Iterator[A]) -> Iterator[R]:
    pending: deque[Future[R]] = deque(thread.submit(make, first) for first in islice(arguments, AHEAD))
    while pending:
        pending.extend(thread.submit(make, following) for following in islice(arguments, 1))
        yield pending.popleft().result()
