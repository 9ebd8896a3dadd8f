"""What goes in and what comes out: sizes, strides, memory that is shared, results that stay."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest

import tinynn as tn
from tests.capture.twice import bits, in_bits
from tinynn.capture.plan import COPIED_BYTES

SMALL, LARGE = (4, 6), (40, 60)  # copied, and read where they are
assert np.prod(SMALL) * 4 <= COPIED_BYTES < np.prod(LARGE) * 4


def normal(shape, seed=0):
    return tn.Tensor(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def check(function, *calls, plans=1, **options):
    """Asserts that each call gives the bits of the function, from the same values."""
    step = tn.compile(function, **{"fuse": False, **options})
    for arguments in calls:
        expected = in_bits(function(*map(copied, arguments)))
        assert in_bits(step(*arguments)) == expected
    assert len(step.plans) == plans
    return step


def copied(value):
    """A tensor in memory of its own, in order."""
    return tn.Tensor(np.array(value.data, order="C")) if isinstance(value, tn.Tensor) else value


def mixed(x):
    """Operations that read their argument in several ways: kernels, products, views, sums."""
    return [x.tanh(), x.T @ x, x[1:, ::2].sum(0), x.reshape(-1)[3:7], x.softmax(-1), x.sum(1)]


@pytest.mark.parametrize("shape", [SMALL, LARGE])
def test_other_values_each_time(shape):
    check(mixed, *[(normal(shape, seed),) for seed in range(4)])


def layouts(shape):
    rows, columns = shape
    return {
        "in order": normal(shape, 1),
        "transposed": normal((columns, rows), 2).T,
        "every other": normal((2 * rows, 2 * columns), 3)[::2, ::2],
        "backwards": tn.Tensor(normal(shape, 4).data[::-1]),
        "repeated": tn.Tensor(np.broadcast_to(normal((1, columns), 5).data, shape)),
        "not to be written": tn.Tensor(np.frombuffer(normal(shape, 6).data.tobytes(), "f4")).view(
            *shape
        ),
    }


@pytest.mark.parametrize("shape", [SMALL, LARGE])
@pytest.mark.parametrize("first", layouts(SMALL))
def test_arguments_in_any_order_in_memory(shape, first):
    found = layouts(shape)
    check(mixed, (found[first],), *[(tensor,) for tensor in found.values()], (found[first],))


@pytest.mark.parametrize("shape", [SMALL, LARGE])
def test_results_stay_when_the_caller_writes_to_its_array(shape):
    def function(x):
        return x, x[1:], x * 2, x.T, x.detach(), x.sum()

    step = tn.compile(function)
    x = normal(shape)
    expected = [in_bits(result) for result in function(copied(x))]
    for _ in range(3):
        results = step(copied(x))
        mine = copied(x)
        again = step(mine)
        mine.data[...] = 0
        step(normal(shape, 1))
        assert in_bits(results) == in_bits(again) == expected


@pytest.mark.parametrize("shape", [SMALL, LARGE])
def test_results_are_memory_of_their_own(shape):
    step = tn.compile(lambda x: (x * 2, x))
    x = normal(shape)
    arrays = [result.data for _ in range(4) for result in step(x)]
    for number, array in enumerate(arrays):
        for other in [*arrays[:number], x.data]:
            assert not np.shares_memory(array, other)
        array[...] = 0  # the next ones are as before
        assert bits(step(x)[0].data) == bits(x.data * 2)


@pytest.mark.parametrize("shape", [SMALL, LARGE])
def test_one_tensor_given_twice(shape):
    x, y, z = (normal(shape, seed) for seed in range(3))
    check(lambda a, b: a * 2 - b, (x, x), (x, y), (y, y), (z, x))
    check(lambda a, b: a * 2 - b, (x, y), (x, x), (y, z), (z, y), (z, z), (x, z))


@pytest.mark.parametrize("shape", [SMALL, LARGE])
def test_arguments_that_overlap(shape):
    def function(a, b):
        return a[1:] * 2 - b[:-1]

    base = normal((shape[0] + 2, shape[1]))
    apart = normal(shape, 1), normal(shape, 2)
    check(function, (base[:-2], base[2:]), apart, (base[1:-1], base[2:]))
    check(function, apart, (base[:-2], base[2:]), apart)


@pytest.mark.parametrize("shape", [SMALL, LARGE])
def test_an_argument_is_part_of_what_the_function_refers_to(shape):
    data = normal((shape[0] * 2, shape[1]))

    def function(x):
        return (x - data.mean(0)) @ data.T

    check(function, (data[: shape[0]],), (normal(shape, 1),), (data[shape[0] :],))


def add_in_place(x, y):
    x += y
    return x * 2, x[0]


@pytest.mark.parametrize("shape", [SMALL, LARGE])
@pytest.mark.parametrize("layout", ["in order", "transposed", "every other"])
def test_an_argument_is_changed_in_place(shape, layout):
    step = tn.compile(add_in_place)
    for seed in range(3):
        mine, its, y = layouts(shape)[layout], layouts(shape)[layout], normal(shape, seed)
        found, expected = step(mine, y), add_in_place(its, y)
        assert in_bits(found) == in_bits(expected)
        assert bits(mine.data) == bits(its.data)


def test_a_changed_argument_is_known_as_changed():
    """So that a graph that saved it refuses to run."""
    step = tn.compile(add_in_place)
    for _ in range(3):
        x, w = normal(SMALL), tn.ones(*SMALL, requires_grad=True)
        loss = (x * w).sum()
        step(x, normal(SMALL, 1))
        with pytest.raises(RuntimeError, match="changed"):
            loss.backward()


def test_a_condition_that_is_also_a_choice():
    masks = [tn.Tensor(normal((100, 100), seed).data > 0) for seed in range(4)]
    check(lambda m, o: tn.where(m, m, o), *[(m, masks[0]) for m in masks])


def test_parts_of_an_argument_are_joined():
    def function(x, y):
        return tn.stack([x, y, x]), tn.cat([y[1:], x], 0)

    check(function, *[(normal(LARGE, n), normal(LARGE, n + 1)) for n in range(4)])


Pair = namedtuple("Pair", "one other")


def test_structures_go_in_and_come_out():
    def function(batch, *, scale, names):
        return {
            "sum": batch["x"][0] + batch["x"][1] * scale,
            "pair": Pair(batch["y"], [names, None, 3, (batch["y"] * 2,)]),
        }

    step = tn.compile(function)
    for seed in range(3):
        batch = {"x": (normal(SMALL, seed), normal(SMALL, seed + 1)), "y": normal(LARGE, seed)}
        found = step(batch, scale=2.0, names=["a"])
        expected = function(batch, scale=2.0, names=["a"])
        assert type(found["pair"]) is Pair
        assert in_bits(found) == in_bits(expected)
    assert len(step.plans) == 1


def test_numbers_and_words_make_plans_of_their_own():
    def function(x, scale, *, mode="up"):
        return x * scale if mode == "up" else x / scale

    step = tn.compile(function)
    x = tn.ones(3)
    calls = [
        (2, "up"),
        (2.0, "up"),
        (3, "up"),
        (2, "down"),
        (True, "up"),
        (0.0, "up"),
        (-0.0, "up"),
    ]
    for scale, mode in calls * 2:
        found, expected = (f(x, scale, mode=mode) for f in (step, function))
        assert bits(found.data) == bits(expected.data)
    assert len(step.plans) == len(calls)


@pytest.mark.parametrize("shape", [(0, 3), (), (1,), (1, 1, 1)])
def test_arguments_of_few_elements(shape):
    check(lambda x: [x * 2, x.sum()], (normal(shape),), (normal(shape, 1),))


@pytest.mark.parametrize("dtype", ["int64", "bool", "uint8", "float16", "float64"])
def test_arguments_of_other_dtypes(dtype):
    tensors = [tn.Tensor((normal(LARGE, n).data * 3).astype(dtype)) for n in range(3)]
    check(lambda x: [x * 2, x == 1, x.to(tn.float32)], *[(tensor,) for tensor in tensors])


def test_no_argument_at_all():
    weight = normal(LARGE)
    step = tn.compile(lambda: weight.sum(0))
    for _ in range(3):
        assert bits(step().data) == bits(weight.sum(0).data)
        weight.mul_(1.5)
