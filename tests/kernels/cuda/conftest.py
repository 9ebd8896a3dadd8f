"""CUDA kernels on the processor: skipped, and loudly, where there is no g++. Or on a card."""

import pytest

from tests.cuda_on_cpu import installed, why_no_compiler
from tests.kernels.cuda.on_card import asked_for
from tinynn.backend.devices import NUMPY
from tinynn.backend.kernel_table import KernelTable, observe_kernels
from tinynn.capture.traced import traced_type
from tinynn.kernels.cuda import arrays, compiler


@pytest.fixture
def cuda_on_cpu():
    """The launchers of tinynn.kernels.cuda run on NumPy arrays, or on a card on their copies."""
    if asked_for():
        yield
        return
    if why_no_compiler():
        pytest.skip(why_no_compiler())
    with installed():
        yield


@pytest.fixture
def with_cuda_kernels(cuda_on_cpu, monkeypatch):
    """NumPy's backend has the table of CuPy; says which kernels were launched."""
    launched = set()
    load = compiler.load

    def noted(file, instantiation, *more):
        launched.add(instantiation.partition("<")[0])
        return load(file, instantiation, *more)

    def address(array):
        array = getattr(array, "array", array)  # of one that is being recorded
        return array.__array_interface__["data"][0]

    monkeypatch.setattr(compiler, "load", noted)
    monkeypatch.setattr(arrays, "address", address)
    monkeypatch.setattr(NUMPY, "_kernels", KernelTable("cuda"))
    traced_type.cache_clear()  # it keeps the table of whoever compiled first
    yield launched
    observe_kernels(None)
    traced_type.cache_clear()
