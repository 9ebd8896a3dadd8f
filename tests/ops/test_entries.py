"""Every public operation has an entry in tests/opinfo/, and every entry says all it must."""

import pytest

from tests.opinfo import OPINFOS
from tests.opinfo.maker import Maker
from tinynn.ops.registry import OPERATIONS, OPS, Every


def test_every_public_operation_has_an_entry():
    assert sorted(set(OPS) - set(OPINFOS)) == []


def test_every_entry_is_a_public_operation():
    assert sorted(set(OPINFOS) - set(OPS)) == []


@pytest.mark.parametrize("name", OPINFOS)
def test_entry_is_complete(name):
    info = OPINFOS[name]
    assert list(info.samples(Maker())), "no samples"
    assert callable(info.reference), "no reference"
    refused = list(info.refused(Maker())) if info.refused else []
    assert bool(refused) != bool(info.refuses_nothing), "give `refused` or `refuses_nothing`"
    assert OPS[name].__doc__, "no docstring"


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_declaration_has_a_rule_for_each_argument(name):
    operation = OPERATIONS[name]
    if operation.vjps and not isinstance(operation.vjps, Every):
        assert len(operation.vjps) == len(operation.parameters)
