"""How this process keeps memory that is freed."""

import ctypes

MMAP_MAX, TRIM_THRESHOLD = -4, -1  # parameters of glibc's mallopt


def keep_freed_memory() -> None:
    """Keep what is freed for what is asked for next, where the C library is glibc.

    By default it gives tensors of 32 MB and more back to the system, which has to clear the same pages again
    for the next tensor: a seventh of an autoencoder's step at 64^3.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(MMAP_MAX, 0)
        library.mallopt(TRIM_THRESHOLD, -1)
