"""CUDA kernels on a processor: the sources that CuPy compiles, built by g++, on NumPy arrays.

    include/         what a CUDA compiler has built in, as C++
    runtime.cpp      the scheduler: a fiber for each thread of a block, one block at a time
    build.py         g++, and where its libraries are kept
    raw_module.py    the stand-in for cupy.RawModule
    installed.py     puts it in CuPy's place under the launchers of tinynn.kernels.cuda
    guarded.py       arrays with NaN around them, and the check that nothing wrote there
    faults.py        faults planted in the sources, which the tests must catch
    sanitized.py     runs under AddressSanitizer and ThreadSanitizer

What it finds: wrong results in any of three orders of the threads, memory that is read before it is
written, reads and writes beyond an array, misaligned vectors, a missing __syncthreads or
__syncwarp, barriers and warp operations that not all threads reach, arguments that do not fit the
kernel. What it does not model: races between blocks, time, banks of shared memory, coalescing, the
order in which tensor cores add.
"""

from tests.cuda_on_cpu.build import why_no_compiler
from tests.cuda_on_cpu.guarded import Guarded
from tests.cuda_on_cpu.installed import installed
from tests.cuda_on_cpu.raw_module import SCHEDULES, LaunchError, RawModule, scheduled
