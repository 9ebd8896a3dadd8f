"""Recording turned on and off: at once, in generators, as PyTorch does."""

import pytest

import tinynn as tn


@pytest.fixture
def x():
    return tn.tensor([1.0], requires_grad=True)


def test_a_generator_runs_under_its_mode_and_its_reader_does_not(x):
    @tn.no_grad()
    def doubles(count):
        """Doubles x."""
        for _ in range(count):
            yield (x * 2).requires_grad
        return "end"

    def outer():
        result = yield from doubles(3)
        assert result == "end"

    assert doubles.__doc__ == "Doubles x."
    for inside in outer():
        assert not inside
        assert tn.is_grad_enabled()
    assert tn.is_grad_enabled()


def test_an_error_in_a_generator_restores_the_mode(x):
    @tn.no_grad()
    def broken():
        yield 1
        raise KeyError

    items = broken()
    next(items)
    with pytest.raises(KeyError):
        next(items)
    assert tn.is_grad_enabled()


def test_set_grad_enabled_as_a_function():
    try:
        tn.set_grad_enabled(False)
        assert not tn.is_grad_enabled()
    finally:
        tn.set_grad_enabled(True)
    assert tn.is_grad_enabled()


@pytest.mark.parametrize("mode", [True, False])
def test_set_grad_enabled_as_a_context(mode):
    context = tn.set_grad_enabled(mode)
    for _ in range(2):
        with context:
            assert tn.is_grad_enabled() == mode
        assert tn.is_grad_enabled()


def test_set_grad_enabled_as_a_decorator(x):
    @tn.set_grad_enabled(False)
    def double(value):
        return value * 2

    assert tn.is_grad_enabled()
    assert not double(x).requires_grad
    assert tn.is_grad_enabled()
