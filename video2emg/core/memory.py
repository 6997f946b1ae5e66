"""Memory that the process keeps, instead of returning it to the system at every step."""

import ctypes
import sys

# Parameters of glibc's mallopt (malloc.h), and what they are set to: no block gets a mapping of its
# own, freed memory at the end of the heap is not returned, and all threads share one heap.
_SETTINGS = {-4: 0, -1: 2**31 - 1, -8: 1}  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_ARENA_MAX


def keep_freed_memory() -> bool:
    """Makes glibc reuse large buffers; to be called before they are allocated.

    XLA allocates and frees the buffers of each step. By default each is a mapping of its own, whose
    pages the kernel clears again at every step. The process then holds on to its largest size.

    Returns:
      Whether it was done; other C libraries stay as they are.
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    return all(library.mallopt(name, value) == 1 for name, value in _SETTINGS.items())
