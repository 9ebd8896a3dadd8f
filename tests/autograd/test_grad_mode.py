"""no_grad, enable_grad, and threads."""

import threading

import pytest

import tinynn as tn


@pytest.fixture
def x():
    return tn.tensor([1.0, 2.0], requires_grad=True)


def test_no_grad_records_nothing(x):
    with tn.no_grad():
        assert not tn.is_grad_enabled()
        y = x * 2
    assert tn.is_grad_enabled()
    assert not y.requires_grad
    assert y.is_leaf
    assert (x * 2).requires_grad


def test_modes_nest(x):
    with tn.no_grad():
        with tn.enable_grad():
            assert (x * 2).requires_grad
            with tn.no_grad():
                assert not (x * 2).requires_grad
            assert tn.is_grad_enabled()
        assert not tn.is_grad_enabled()


def test_an_exception_restores_the_mode():
    with pytest.raises(KeyError), tn.no_grad():
        raise KeyError
    assert tn.is_grad_enabled()


def test_one_context_object_may_be_entered_again(x):
    mode = tn.no_grad()
    with mode, mode:
        assert not tn.is_grad_enabled()
    assert tn.is_grad_enabled()


def test_decorators(x):
    @tn.no_grad()
    def evaluate(value):
        """Doubles it."""
        return value * 2

    @tn.enable_grad()
    def train(value):
        return value * 2

    assert not evaluate(x).requires_grad
    assert evaluate.__name__ == "evaluate"
    assert evaluate.__doc__ == "Doubles it."
    with tn.no_grad():
        assert train(x).requires_grad
    assert tn.is_grad_enabled()


def test_a_mode_is_the_threads_own(x):
    inside, leave = threading.Event(), threading.Event()
    found = {}

    def serve():
        with tn.no_grad():
            inside.set()
            leave.wait()
            found["other"] = (x * 2).requires_grad

    thread = threading.Thread(target=serve)
    thread.start()
    inside.wait()
    found["this"] = (x * 2).requires_grad
    leave.set()
    thread.join()
    assert found == {"this": True, "other": False}


def test_a_new_thread_records(x):
    found = []
    with tn.no_grad():
        thread = threading.Thread(target=lambda: found.append((x * 2).requires_grad))
        thread.start()
        thread.join()
    assert found == [True]


def test_threads_run_backward_at_the_same_time():
    """Graphs of their own, run at once, give what they give alone."""
    results = {}

    def work(number):
        total = 0.0
        for _ in range(50):
            x = tn.tensor([float(number)], requires_grad=True)
            (x * x * x).sum().backward()
            total += x.grad.item()
        results[number] = total

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: 50 * 3.0 * number**2 for number in range(4)}


def test_backward_under_no_grad_gives_plain_gradients(x):
    y = (x * x).sum()
    with tn.no_grad():
        y.backward()
    assert x.grad.tolist() == [2, 4]
    assert not x.grad.requires_grad


def test_detach_cuts_and_shares(x):
    y = (x * 2).detach()
    assert not y.requires_grad
    assert y.is_leaf
    (x * y).sum().backward()
    assert x.grad.tolist() == [2, 4]
    assert x.detach().data is x.data


def test_requires_grad_of_what_was_computed_stays(x):
    y = x * 2
    with pytest.raises(RuntimeError, match=r"was computed.*detach"):
        y.requires_grad_(False)
    x.requires_grad_(False)
    assert not (x * 2).requires_grad
    x.requires_grad = True
    assert (x * 2).requires_grad
