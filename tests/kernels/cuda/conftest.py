"""CUDA kernels on the processor: skipped, and loudly, where there is no g++. Or on a card."""

import pytest

from tests.cuda_on_cpu import installed, why_no_compiler
from tests.kernels.cuda.on_card import asked_for


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
