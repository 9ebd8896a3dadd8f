"""Changes in place: what a graph still needs is guarded, everything else may change."""

import numpy as np
import pytest

import tinynn as tn

STALE = "changed in place"


@pytest.fixture
def x():
    return tn.tensor([1.0, 2.0, 3.0], requires_grad=True)


def add_one(tensor):
    with tn.no_grad():
        tensor += 1


def test_a_saved_input_that_changed_is_an_error_that_names_the_operation(x):
    weight = tn.ones(3)
    y = (x * weight).sum()
    weight += 1
    with pytest.raises(RuntimeError, match=f"operation mul .*{STALE}"):
        y.backward()


def test_a_saved_result_that_changed_is_an_error(x):
    y = x.exp()
    add_one(y)
    with pytest.raises(RuntimeError, match=f"operation exp .*{STALE}"):
        y.sum().backward()


def test_a_leaf_that_was_stepped_between_forward_and_backward_is_an_error(x):
    y = (x * x).sum()
    add_one(x)
    with pytest.raises(RuntimeError, match=STALE):
        y.backward()


def test_what_no_rule_reads_may_change(x):
    other = tn.ones(3)
    y = x + other
    other += 5
    add_one(x)
    y.sum().backward()
    assert x.grad.tolist() == [1, 1, 1]


def test_a_change_before_the_forward_pass_is_fine(x):
    add_one(x)
    (x * x).sum().backward()
    assert x.grad.tolist() == [4, 6, 8]


def test_a_training_step_is_fine(x):
    for _ in range(3):
        x.grad = None
        (x * x).sum().backward()
        with tn.no_grad():
            x -= 0.25 * x.grad
    np.testing.assert_allclose(x.detach().numpy(), np.array([1, 2, 3]) / 8)


@pytest.mark.parametrize(
    "view",
    [
        lambda t: t[1:],
        lambda t: t.reshape(3, 1),
        lambda t: t.T,
        lambda t: t.unsqueeze(0),
        lambda t: t.detach(),
        lambda t: t[1:][0],
        lambda t: t.detach()[:2],
        lambda t: t.split(2)[0],
    ],
)
def test_a_change_through_a_view_counts(x, view):
    with tn.no_grad():
        part = view(x)
    y = (x * x).sum()
    part += 1
    with pytest.raises(RuntimeError, match=STALE):
        y.backward()


def test_a_change_of_the_base_counts_for_a_saved_view(x):
    base = tn.ones(3)
    part = base[:2]
    y = (x[:2] * part).sum()
    base += 1
    with pytest.raises(RuntimeError, match=STALE):
        y.backward()


def test_a_copy_is_not_a_view(x):
    copy = x.detach().clone()
    y = (x * x).sum()
    copy += 1
    y.backward()
    assert x.grad.tolist() == [2, 4, 6]


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.add_(1),
        lambda t: t.sub_(1),
        lambda t: t.mul_(2),
        lambda t: t.div_(2),
        lambda t: t.zero_(),
        lambda t: t.fill_(4.0),
        lambda t: t.copy_(tn.zeros(3)),
        lambda t: t.__setitem__(0, 7.0),
    ],
)
def test_every_change_in_place_counts(x, change):
    weight = tn.ones(3)
    y = (x * weight).sum()
    change(weight)
    with pytest.raises(RuntimeError, match=STALE):
        y.backward()


@pytest.mark.parametrize(
    "change", [lambda a, b: a.add_(b), lambda a, b: a.__setitem__(0, 1.0), lambda a, b: a.zero_()]
)
def test_a_recorded_tensor_is_not_changed_in_place(x, change):
    for target in (x, x * 2):
        with pytest.raises(RuntimeError, match=r"not recorded.*no_grad"):
            change(target, 1.0)
    with pytest.raises(RuntimeError, match="not recorded"):
        tn.ones(3).add_(x)


def test_writing_to_the_raw_array_is_declared_by_bump_version(x):
    y = (x * x).sum()
    x.data[0] = 100
    x.bump_version()
    with pytest.raises(RuntimeError, match=STALE):
        y.backward()


def test_a_retained_graph_is_guarded_too(x):
    y = (x * x).sum()
    y.backward(retain_graph=True)
    add_one(x)
    with pytest.raises(RuntimeError, match=STALE):
        y.backward()


def test_an_index_that_changed_is_an_error(x):
    index = tn.tensor([0, 1])
    y = x[index].sum()
    index += 1
    with pytest.raises(RuntimeError, match=STALE):
        y.backward()


def test_a_change_elsewhere_is_nobodys_business(x):
    y = (x * x).sum()
    other = tn.zeros(3)
    other += 1
    y.backward()
    assert x.grad.tolist() == [2, 4, 6]


def test_grad_may_be_changed_in_place(x):
    (x * 2).sum().backward()
    x.grad.mul_(10)
    (x * 2).sum().backward()
    assert x.grad.tolist() == [22, 22, 22]


def test_gradients_of_gradients_see_changes(x):
    (first,) = tn.grad((x * x * x).sum(), x, create_graph=True)
    add_one(x)
    with pytest.raises(RuntimeError, match=STALE):
        first.sum().backward()
