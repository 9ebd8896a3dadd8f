"""Every instantiation compiles for three GPUs, fits their registers, and is in the table."""

import pytest

from tests.kernels.cuda import nvrtc
from tests.kernels.cuda.resources import (
    ARCHITECTURES,
    Resources,
    fingerprint,
    instantiations,
    read_table,
)
from tinynn.kernels.cuda import compiler

COMMAND = "python -m tests.kernels.cuda.resources"
WANTED, TABLE = instantiations(), read_table()

needs_nvrtc = pytest.mark.skipif(nvrtc.why_missing() is not None, reason=str(nvrtc.why_missing()))


@pytest.mark.parametrize("file", WANTED)
def test_the_table_is_of_these_sources(file):
    assert file in TABLE, f"{file} is not in kernels/cuda/resources.txt; run {COMMAND}"
    assert TABLE[file].fingerprint == fingerprint(file, WANTED[file]), (
        f"{file}, or what it includes, was changed since kernels/cuda/resources.txt was written; "
        f"run {COMMAND}"
    )
    assert sorted(TABLE[file].kernels) == sorted(WANTED[file])


def test_the_table_has_no_sources_that_are_gone():
    assert sorted(TABLE) == sorted(WANTED)


def test_nothing_is_spilled():
    spilled = {
        (file, name): columns
        for file, source in TABLE.items()
        for name, columns in source.kernels.items()
        if any(resources.spilled for resources in columns)
    }
    assert spilled == {}


@needs_nvrtc
@pytest.mark.parametrize("file", WANTED)
def test_the_table_is_what_the_compiler_says(file):
    """Of the kernel with most registers, on one of the architectures; of all it took minutes."""
    source = TABLE[file]
    if source.fingerprint != fingerprint(file, WANTED[file]):
        pytest.fail("the table is of another source")
    place = sorted(WANTED).index(file) % len(ARCHITECTURES)
    name = max(source.kernels, key=lambda name: source.kernels[name][place])
    found = nvrtc.resources_of(file, [name], ARCHITECTURES[place])[name]
    assert found.spilled == 0
    if source.version == nvrtc.version():
        assert found == source.kernels[name][place], f"{name}; run {COMMAND}"


@needs_nvrtc
def test_a_spill_is_seen(tmp_path, monkeypatch):
    """A kernel that must keep 200 numbers, of a block of so many threads that each has 64."""
    (tmp_path / "many.cu").write_text("""
__global__ void __launch_bounds__(1024) many(const float *x, float *out) {
  float own[200];
#pragma unroll
  for (int i = 0; i < 200; i++) own[i] = x[i * 1024 + threadIdx.x];
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 200; i++) out[i * 1024 + threadIdx.x] = own[199 - i] * own[i];
}
template <class T> __global__ void shared(T *x) {
  __shared__ T all[32];
  all[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  x[threadIdx.x] = all[31 - threadIdx.x];
}
""")
    monkeypatch.setattr(compiler, "FOLDER", tmp_path)
    found = nvrtc.resources_of("many.cu", ["many", "shared<double>"], "sm_90")
    assert found["many"].registers == 64
    assert found["many"].spilled > 0
    assert found["shared<double>"] == Resources(found["shared<double>"].registers, 256, 0)


@needs_nvrtc
def test_a_source_that_does_not_compile_shows_its_log(tmp_path, monkeypatch):
    (tmp_path / "bad.cu").write_text("__global__ void f(float *x) { y = 1; }")
    monkeypatch.setattr(compiler, "FOLDER", tmp_path)
    with pytest.raises(RuntimeError, match=r"bad\.cu\(1\): error: identifier \"y\" is undefined"):
        nvrtc.resources_of("bad.cu", ["f"], "sm_90")
