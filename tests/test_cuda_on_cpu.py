"""The harness that runs CUDA kernels on the processor: what it computes, and what it refuses."""

import os
import re
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest

from tests.cuda_on_cpu import SCHEDULES, LaunchError, RawModule, scheduled, why_no_compiler
from tests.cuda_on_cpu.build import BuildError

pytestmark = pytest.mark.skipif(why_no_compiler() is not None, reason=str(why_no_compiler()))

ANY_ORDER = pytest.mark.parametrize("schedule", SCHEDULES, ids=[order for order, _ in SCHEDULES])

SOURCE = r"""
#define SELF threadIdx.x
#define LANE (SELF % 32)

// What is right.
__global__ void places(int *out) {
  const int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const int thread = SELF + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  out[block * blockDim.x * blockDim.y * blockDim.z + thread] = 1000 * block + thread;
}
__global__ void shuffles(int *out) {
  const int x = SELF;
  out[SELF] = __shfl_xor_sync(~0u, x, 5);
  out[64 + SELF] = __shfl_down_sync(~0u, x, 3);
  out[128 + SELF] = __shfl_up_sync(~0u, x, 3, 8);
  out[192 + SELF] = __shfl_sync(~0u, x, 9, 16);
  out[256 + SELF] = __ballot_sync(~0u, LANE < 4);
  out[320 + SELF] = __any_sync(~0u, x == 40) + 2 * __all_sync(~0u, x < 32);
}
__global__ void halves_of_a_warp(float *x) {
  float own = SELF;
  if (LANE < 16) own = __shfl_xor_sync(0xffffu, own, 1);
  else own = __shfl_xor_sync(0xffff0000u, own, 2);
  x[SELF] = own;
}
__global__ void reversed(float *x) {
  __shared__ float all[64];
  all[SELF] = x[SELF];
  __syncthreads();
  x[SELF] = all[63 - SELF];
}
__global__ void neighbours(float *x) {
  float *all = reinterpret_cast<float *>(cuda_on_cpu::dynamic_shared);
  all[SELF] = x[SELF];
  __syncwarp();
  x[SELF] = all[SELF ^ 1];
}
__global__ void atomics(float *sum, int *highest, unsigned *turn) {
  atomicAdd(sum, 1.f);
  atomicMax(highest, int(SELF));
  atomicInc(turn, 9u);
}
__global__ void rounding(const float *x, __half *half, __nv_bfloat16 *bfloat) {
  half[SELF] = __float2half_rn(x[SELF]);
  bfloat[SELF] = __float2bfloat16_rn(x[SELF]);
}
__global__ void bytes(unsigned *out) {
  out[0] = __byte_perm(0x03020100u, 0x07060504u, 0x7531u);
  out[1] = __byte_perm(0x80u, 0u, 0x0008u) & 0xff;
  out[2] = __dp4a(0x01ff0203, 0x04050607, 10);
  out[3] = __umulhi(0x80000000u, 6u);
}

// What is wrong.
__global__ void no_barrier(float *x) {
  __shared__ float all[64];
  all[SELF] = x[SELF];
  x[SELF] = all[63 - SELF];
}
__global__ void half_written(float *x) {
  __shared__ float all[64];
  if (SELF < 32) all[SELF] = x[SELF];
  __syncthreads();
  x[SELF] = all[SELF];
}
__global__ void unwritten_dynamic(float *x) {
  x[SELF] = reinterpret_cast<float *>(cuda_on_cpu::dynamic_shared)[SELF];
}
__global__ void barrier_in_a_branch(float *x) {
  if (SELF < 16) __syncthreads();
}
__global__ void two_barriers(float *x) {
  if (SELF < 16) __syncthreads();
  else
    __syncthreads();
}
__global__ void barrier_after_an_end(float *x) {
  if (SELF >= 40) return;
  __syncthreads();
}
__global__ void shuffle_in_a_branch(float *x) {
  if (LANE < 16) x[SELF] = __shfl_xor_sync(~0u, x[SELF], 1);
  else
    __syncwarp();
}
__global__ void outside_the_mask(float *x) {
  if (LANE < 16) x[SELF] = __shfl_xor_sync(0xffffu, x[SELF], 16);
}
__global__ void not_in_the_mask(float *x) {
  x[SELF] = __shfl_xor_sync(0xffffu, x[SELF], 1);
}
__global__ void two_shuffles(float *x) {
  if (LANE < 16) x[SELF] = __shfl_xor_sync(~0u, x[SELF], 1);
  else
    x[SELF] = __shfl_xor_sync(~0u, x[SELF], 1);
}
__global__ void waits_for_a_barrier(float *x) {
  if (SELF < 32) __syncthreads();
  else if (SELF < 48)
    __syncwarp();
  else
    __syncthreads();
}
__global__ void trap(float *x) {
  if (SELF == 3) __trap();
}

// What a launch is given.
__global__ void parameters(const float *x, int n, double scale, bool flag, __half *h, void *any) {}
"""
NAMES = re.findall(r"__global__ void (\w+)", SOURCE)


@pytest.fixture(scope="module")
def module():
    return RawModule(SOURCE, (), tuple(NAMES))


@pytest.fixture
def launch(module):
    def run(name, *arguments, grid=(1,), block=(64,), **more):
        module.get_function(name)(grid, block, arguments, **more)

    return run


@ANY_ORDER
def test_threads_and_blocks_know_their_places(launch, schedule):
    out = np.zeros(2 * 3 * 2 * 24, np.int32)
    with scheduled(*schedule):
        launch("places", out, grid=(2, 3, 2), block=(4, 3, 2))
    expected = [1000 * block + thread for block in range(12) for thread in range(24)]
    assert out.tolist() == expected


@ANY_ORDER
def test_exchange_within_a_warp(launch, schedule):
    out = np.zeros(6 * 64, np.int32)
    with scheduled(*schedule):
        launch("shuffles", out)
    lanes, parts = np.arange(32), out.reshape(6, 2, 32)
    for warp in range(2):
        xor, down, up, index, ballot, votes = parts[:, warp]
        assert xor.tolist() == ((lanes ^ 5) + 32 * warp).tolist()
        assert down.tolist() == (np.where(lanes + 3 < 32, lanes + 3, lanes) + 32 * warp).tolist()
        assert up.tolist() == (np.where(lanes % 8 >= 3, lanes - 3, lanes) + 32 * warp).tolist()
        assert index.tolist() == (lanes // 16 * 16 + 9 + 32 * warp).tolist()
        assert set(ballot.tolist()) == {0b1111}
        assert set(votes.tolist()) == {2 if warp == 0 else 1}


@ANY_ORDER
def test_halves_of_a_warp_may_go_their_own_ways(launch, schedule):
    x = np.zeros(64, np.float32)
    with scheduled(*schedule):
        launch("halves_of_a_warp", x)
    expected = [i ^ (1 if i % 32 < 16 else 2) for i in range(64)]
    assert x.tolist() == expected


@ANY_ORDER
def test_shared_memory_and_its_barriers(launch, schedule):
    x = np.arange(64, dtype=np.float32)
    with scheduled(*schedule):
        launch("reversed", x)
        assert x.tolist() == list(range(64))[::-1]
        launch("neighbours", x, shared_mem=256)
    assert x.tolist() == [63 - (i ^ 1) for i in range(64)]


@ANY_ORDER
def test_atomics(launch, schedule):
    total, highest, turn = np.zeros(1, np.float32), np.full(1, -5, np.int32), np.zeros(1, np.uint32)
    with scheduled(*schedule):
        launch("atomics", total, highest, turn, grid=(3,))
    assert (total[0], highest[0], turn[0]) == (192, 63, 192 % 10)


def test_16_bit_floats_are_rounded_as_numpy_and_ml_dtypes_do():
    module = RawModule(SOURCE, (), tuple(NAMES))
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 64 * 200, dtype=np.uint32)
    x = np.concatenate([bits.view(np.float32), (3 * rng.standard_normal(6400)).astype(np.float32)])
    x = np.where(np.isnan(x), np.float32(1.0), x)
    half, bfloat = np.zeros(64, np.float16), np.zeros(64, ml_dtypes.bfloat16)
    for part in x.reshape(-1, 64):
        module.get_function("rounding")((1,), (64,), (part, half, bfloat))
        with np.errstate(over="ignore"):
            assert half.tobytes() == part.astype(np.float16).tobytes()
        assert bfloat.tobytes() == part.astype(ml_dtypes.bfloat16).tobytes()
    nan = np.full(64, np.nan, np.float32)
    module.get_function("rounding")((1,), (64,), (nan, half, bfloat))
    assert np.isnan(half).all()
    assert np.isnan(bfloat.astype(np.float32)).all()


def test_intrinsics_on_bytes(launch):
    out = np.zeros(4, np.uint32)
    launch("bytes", out)
    dot = 1 * 4 + -1 * 5 + 2 * 6 + 3 * 7 + 10
    assert out.tolist() == [0x07050301, 0xFF, dot, 3]


@pytest.mark.parametrize("name", ["no_barrier", "half_written", "unwritten_dynamic"])
@ANY_ORDER
def test_shared_memory_is_nan_until_it_is_written(launch, schedule, name):
    x = np.zeros(64, np.float32)
    with scheduled(*schedule):
        launch(name, x, shared_mem=256)
        assert np.isnan(x).any()
        x[:] = 0
        launch("reversed", x)
        launch(name, x, shared_mem=256)  # as little as after another kernel
    assert np.isnan(x).any()


MESSAGES = {
    "barrier_in_a_branch": "ends while others wait in __sync|__syncthreads at kernel:.*has ended",
    "two_barriers": "threads meet at different __syncthreads: kernel:.* at kernel:",
    "barrier_after_an_end": "ends while others wait in __sync|__syncthreads at kernel:.*has ended",
    "shuffle_in_a_branch": "lanes meet at different operations of a warp: kernel:.* at kernel:",
    "outside_the_mask": r"lane \d+ is read, which is not in the mask 0000ffff",
    "not_in_the_mask": "at kernel:.* the lane is not in its own mask",
    "two_shuffles": "lanes meet at different operations of a warp: kernel:.* at kernel:",
    "waits_for_a_barrier": r"no thread can go on: it waits .* \(kernel:.*\), and thread \d+ waits",
    "trap": r"thread 3: __trap at kernel:\d+",
}


@pytest.mark.parametrize("name", MESSAGES)
@ANY_ORDER
def test_what_would_hang_or_mislead_a_gpu_is_an_error(launch, schedule, name):
    x = np.zeros(64, np.float32)
    with scheduled(*schedule), pytest.raises(LaunchError, match=MESSAGES[name]):
        launch(name, x)
    launch("reversed", x)  # the next launch is as good as any


GOOD = (np.zeros(2, np.float32), np.int32(3), np.float64(1), np.bool_(True), None, np.zeros(3))


@pytest.mark.parametrize(
    ("place", "bad", "expected"),
    [
        (0, np.zeros(2), r"ndarray float64, expected \*f4"),
        (0, np.zeros(2, np.int32), r"ndarray int32, expected \*f4"),
        (0, np.float32(1), r"float32 float32, expected \*f4"),
        (1, 3, "int , expected i4"),
        (1, np.int64(3), "int64 int64, expected i4"),
        (1, np.uint32(3), "uint32 uint32, expected i4"),
        (2, 1.0, "float , expected f8"),
        (3, True, "bool , expected b1"),
        (4, np.zeros(2, ml_dtypes.bfloat16), r"ndarray bfloat16, expected \*f2"),
    ],
)
def test_arguments_have_to_fit(launch, place, bad, expected):
    launch("parameters", *GOOD)
    given = [*GOOD]
    given[place] = bad
    with pytest.raises(LaunchError, match=f"argument {place} is {expected}"):
        launch("parameters", *given)


def test_launches_that_a_gpu_refuses(module, launch):
    x = np.zeros(64, np.float32)
    with pytest.raises(LaunchError, match="got 2 arguments, expected 1"):
        launch("reversed", x, x)
    with pytest.raises(LaunchError, match=r"a grid of \(0,\)"):
        launch("reversed", x, grid=(0,))
    with pytest.raises(LaunchError, match=r"a grid of \(1, 65536\)"):
        launch("reversed", x, grid=(1, 65536))
    with pytest.raises(LaunchError, match="at most 1024 threads"):
        launch("reversed", x, block=(64, 17))
    with pytest.raises(LaunchError, match="50000 bytes of dynamic shared memory; 49152 were asked"):
        launch("reversed", x, shared_mem=50_000)
    kernel = module.get_function("reversed")
    kernel.max_dynamic_shared_size_bytes = 10**6
    kernel((1,), (64,), (x,), shared_mem=50_000)
    with pytest.raises(LaunchError, match="232449 bytes"):
        kernel((1,), (64,), (x,), shared_mem=227 * 1024 + 1)


def test_an_intrinsic_that_is_missing_is_an_error_of_the_build():
    with pytest.raises(BuildError, match="__fancy_sync"):
        RawModule("__global__ void f(float *x) { __fancy_sync(x); }", (), ("f",))


def test_without_a_compiler_tests_are_skipped_loudly(tmp_path):
    (tmp_path / "bin").mkdir()
    environment = os.environ | {"PATH": str(tmp_path / "bin")}
    arguments = "-q -p no:cacheprovider -n 0 -k extreme tests/kernels/cuda/test_dropout.py"
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments.split()],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    reason = r"g\+\+ is not installed, so no CUDA kernel was run \(apt install g\+\+\)"
    assert re.search(f"!!+ WARNING: {reason} !!+", result.stdout), result.stdout
