"""Functions, and what changes what they look at: closures, globals, attributes of all kinds."""

from __future__ import annotations

import functools
import types
from collections import OrderedDict, deque
from dataclasses import dataclass

import numpy as np

import tinynn as tn
from tests.capture import settings

SCALE = 1.0
TABLE = {"scale": [1.0, 2.0]}


class Plain:
    """An object with attributes, some of them the class's."""

    shared = 1.0

    def __init__(self, alpha=1.0):
        self.alpha = alpha
        self.inner = None
        self.items = [alpha]

    def scaled(self, x):
        return self.twice(x) * self.alpha

    def twice(self, x):
        return x * self.items[0]

    def __call__(self, x):
        return self.scaled(x)

    @property
    def size(self):
        return self.alpha + 1

    @staticmethod
    def by_global(x):
        return x * SCALE

    @classmethod
    def by_class(cls, x):
        return x * cls.shared


@dataclass
class Config:
    """An object that is not called, so that nothing but its use tells what of it matters."""

    alpha: float = 1.0


@dataclass(slots=True)
class Slots:
    alpha: float = 1.0


def by_global(x):
    return x * SCALE


def helper(x):
    return by_global(x) + TABLE["scale"][1]


def of_parameter(config, x):
    return x * config.alpha


class Cases:
    """Each case returns (function, what to do to change its result)."""

    def number_in_closure():
        alpha = 1.0

        def change():
            nonlocal alpha
            alpha += 1

        return (lambda x: x * alpha), change

    def sign_of_zero():
        alpha, following = 0.0, iter([-0.0, 1.0])

        def change():
            nonlocal alpha
            alpha = next(following)

        return (lambda x: x * alpha), change

    def list_in_closure():
        items = [1.0]
        return (lambda x: x * items[0]), lambda: items.__setitem__(0, items[0] + 1)

    def list_grows():
        items = [1.0]
        return (lambda x: x * len(items)), lambda: items.append(2.0)

    def tuple_with_a_list():
        items = (1.0, [1.0])
        return (lambda x: x * items[1][0]), lambda: items[1].__setitem__(0, items[1][0] + 1)

    def dict_in_closure():
        table = {"a": {"b": 1.0}}
        return (lambda x: x * table["a"]["b"]), lambda: table["a"].update(b=table["a"]["b"] + 1)

    def ordered_dict():
        table = OrderedDict(a=1.0)
        return (lambda x: x * table["a"]), lambda: table.update(a=table["a"] + 1)

    def set_in_closure():
        items = {1}
        return (lambda x: x * len(items)), lambda: items.add(len(items) + 1)

    def deque_in_closure():
        items = deque([1.0])
        return (lambda x: x * items[-1]), lambda: items.append(items[-1] + 1)

    def numpy_number():
        alpha = np.float32(1)

        def change():
            nonlocal alpha
            alpha = np.float32(alpha + 1)

        return (lambda x: x * float(alpha)), change

    def global_number():
        def change():
            global SCALE
            SCALE += 1

        return (lambda x: x * SCALE), change

    def global_of_a_helper():
        return helper, Cases.global_number()[1]

    def list_in_a_global_of_a_helper():
        scale = TABLE["scale"]
        return helper, lambda: scale.__setitem__(1, scale[1] + 1)

    def variable_of_a_module():
        return (lambda x: x * settings.ALPHA), lambda: setattr(
            settings, "ALPHA", settings.ALPHA + 1
        )

    def function_of_a_module():
        return (lambda x: settings.scaled(x)), lambda: setattr(settings, "BETA", settings.BETA + 1)

    def closure_of_a_helper():
        alpha = [1.0]

        def inner(x):
            return x * alpha[0]

        return (lambda x: inner(x) + 1), lambda: alpha.__setitem__(0, alpha[0] + 1)

    def another_helper():
        def make(number):
            return lambda x: x * number

        inner = make(1.0)

        def change():
            nonlocal inner
            inner = make(inner(tn.ones(1)).item() + 1)

        return (lambda x: inner(x)), change

    def attribute():
        plain = Plain()
        return (lambda x: x * plain.alpha), lambda: setattr(plain, "alpha", plain.alpha + 1)

    def attribute_within_an_attribute():
        plain = Plain()
        plain.inner = Plain()
        return (lambda x: x * plain.inner.alpha), lambda: setattr(
            plain.inner, "alpha", plain.inner.alpha + 1
        )

    def attribute_by_another_name():
        config = Config()

        def function(x):
            other = config
            return x * other.alpha

        return function, lambda: setattr(config, "alpha", config.alpha + 1)

    def attribute_in_a_list():
        configs = [Config(), Config()]
        return (lambda x: x * sum(p.alpha for p in configs)), lambda: setattr(
            configs[1], "alpha", configs[1].alpha + 1
        )

    def attribute_of_an_argument_of_a_helper():
        config = Config()
        return (lambda x: of_parameter(config, x)), lambda: setattr(
            config, "alpha", config.alpha + 1
        )

    def attribute_of_a_namespace():
        space = types.SimpleNamespace(alpha=1.0)
        return (lambda x: x * space.alpha), lambda: setattr(space, "alpha", space.alpha + 1)

    def list_in_an_attribute():
        plain = Plain()
        return (lambda x: x * plain.items[0]), lambda: plain.items.__setitem__(
            0, plain.items[0] + 1
        )

    def slots():
        slots = Slots()
        return (lambda x: x * slots.alpha), lambda: setattr(slots, "alpha", slots.alpha + 1)

    def attribute_of_a_class():
        return (lambda x: x * Plain.shared), lambda: setattr(Plain, "shared", Plain.shared + 1)

    def attribute_of_a_class_through_an_object():
        plain = Plain()
        return (lambda x: x * plain.shared), lambda: setattr(Plain, "shared", Plain.shared + 1)

    def attribute_that_hides_that_of_the_class():
        plain = Plain()
        return (lambda x: x * plain.shared), lambda: setattr(plain, "shared", plain.shared + 1)

    def method():
        plain = Plain()
        return plain.scaled, lambda: setattr(plain, "alpha", plain.alpha + 1)

    def method_of_a_method():
        plain = Plain()
        return plain.scaled, lambda: plain.items.__setitem__(0, plain.items[0] + 1)

    def object_that_is_called():
        plain = Plain()
        return plain, lambda: setattr(plain, "alpha", plain.alpha + 1)

    def property_of_an_object():
        plain = Plain()
        return (lambda x: x * plain.size), lambda: setattr(plain, "alpha", plain.alpha + 1)

    def static_method():
        plain = Plain()
        return (lambda x: plain.by_global(x)), Cases.global_number()[1]

    def class_method():
        plain = Plain()
        return (lambda x: plain.by_class(x)), lambda: setattr(Plain, "shared", Plain.shared + 1)

    def partial():
        items = [1.0]
        return functools.partial(lambda items, x: x * items[0], items), lambda: items.__setitem__(
            0, items[0] + 1
        )

    def partial_of_a_method():
        plain = Plain()
        return functools.partial(plain.scaled), lambda: setattr(plain, "alpha", plain.alpha + 1)

    def default_argument():
        def function(x, items=[1.0]):  # noqa: B006
            return x * items[0]

        items = function.__defaults__[0]
        return function, lambda: items.__setitem__(0, items[0] + 1)

    def wrapped_function():
        alpha = [1.0]

        def times(function):
            @functools.wraps(function)
            def wrapper(*arguments):
                return function(*arguments) * alpha[0]

            return wrapper

        return times(lambda x: x + 1), lambda: alpha.__setitem__(0, alpha[0] + 1)

    def tensor_in_closure():
        shift = tn.ones(3)

        def change():
            nonlocal shift
            shift = shift + 1

        return (lambda x: x + shift), change

    def tensor_written_to():
        shift = tn.ones(3)
        return (lambda x: x + shift), lambda: shift.add_(1)

    def data_of_a_tensor():
        shift = tn.ones(3)
        return (lambda x: x + shift), lambda: setattr(shift, "data", shift.data + 1)

    def tensor_in_a_list():
        shifts = [tn.ones(3)]
        return (lambda x: x + shifts[0]), lambda: shifts.__setitem__(0, shifts[0] + 1)

    def branch_not_taken_at_first():
        plain = Plain()

        def function(x):
            return x * 2 if plain.alpha < 3 else x + plain.inner

        def change():
            plain.alpha, plain.inner = 4.0, (plain.inner or 0) + 1

        return function, change
