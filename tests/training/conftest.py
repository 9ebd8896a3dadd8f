"""What the tests of training share."""

import pytest

import tinynn as tn


@pytest.fixture(autouse=True)
def one_thread():
    """The networks are tiny: more threads would only wait for each other."""
    before = tn.get_num_threads()
    tn.set_num_threads(1)
    yield
    tn.set_num_threads(before)
