"""How many threads compute: matrix products (BLAS) and kernels together.

Both keep threads of their own. With more of them than processors, threads that wait by spinning
take the time of those that work, so the numbers are set together.

Kernels run on several threads through OpenMP or TBB; without either they run on one. Processes are
spawned, never forked: OpenMP's threads do not survive a fork, and a forked child keeps to serial
kernels.
"""

from __future__ import annotations

import operator
import os

from tinynn.backend import kernel_table
from tinynn.backend.machine import usable_cores

_number: int | None = None


def set_num_threads(number: int) -> None:
    """Sets how many threads compute, from 1 up.

    Raises ValueError for less than 1.

    >>> import tinynn as tn
    >>> tn.set_num_threads(1)
    >>> tn.get_num_threads()
    1
    """
    global _number
    from threadpoolctl import threadpool_limits

    if operator.index(number) < 1:
        raise ValueError(f"set_num_threads: got {number}, expected at least 1")
    _number = operator.index(number)
    threadpool_limits(_number, user_api="blas")
    kernel_table.set_kernel_threads(_number)


def get_num_threads() -> int:
    """How many threads compute.

    Until it is set: OMP_NUM_THREADS where that is a number, else the processors this process may
    use.
    """
    if _number is not None:
        return _number
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    return usable_cores()


def threading_layer() -> str:
    """What runs kernels on several threads: "omp", "tbb", or "serial" where neither loads."""
    return kernel_table.kernel_threading_layer()
