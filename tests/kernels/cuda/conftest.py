"""CUDA kernels on the processor: skipped, and loudly, where there is no g++."""

import pytest

from tests.cuda_on_cpu import installed, why_no_compiler


@pytest.fixture
def cuda_on_cpu():
    """The launchers of tinynn.kernels.cuda run on NumPy arrays."""
    if why_no_compiler():
        pytest.skip(why_no_compiler())
    with installed():
        yield
