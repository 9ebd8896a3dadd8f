"""What all launchers have in common: signatures, lists of instantiations, what they write."""

from inspect import signature

import pytest

from tests.cuda_on_cpu.installed import launchers
from tinynn.backend.kernel_table import FAMILIES, reference_of
from tinynn.kernels.cuda import compiler

MODULES = {module.__name__.rpartition(".")[2]: module for module in launchers()}
KERNELS = [
    (name, getattr(MODULES[family], name))
    for name, family in FAMILIES.items()
    if family in MODULES and hasattr(MODULES[family], name)
]


@pytest.mark.parametrize(("name", "launcher"), KERNELS, ids=[name for name, _ in KERNELS])
def test_a_launcher_has_the_signature_of_its_reference(name, launcher):
    ours, theirs = (signature(f).parameters.values() for f in (launcher, reference_of(name)))
    assert [(p.name, p.kind, p.default) for p in ours] == [
        (p.name, p.kind, p.default) for p in theirs
    ]
    assert launcher.__doc__


@pytest.mark.parametrize("family", MODULES)
def test_every_instantiation_is_of_a_kernel_that_writes(family):
    listed = MODULES[family].INSTANTIATIONS
    assert len(listed) == len(set(listed))
    for file, name in listed:
        assert compiler.written_by(compiler.source_of(file), name.partition("<")[0]), name


def test_what_a_kernel_writes_is_read_from_its_parameters():
    code = """
__global__ void first(const float *x) { }
template <class T, int N>
__global__ void __launch_bounds__(128)
    second(const T *__restrict__ x, T *__restrict__ out, const int *table, long long *bad, int n) {
  first_of(x);
}
"""
    assert compiler.written_by(code, "first") == ()
    assert compiler.written_by(code, "second") == (1, 3)
    with pytest.raises(ValueError, match="no __global__ function third"):
        compiler.written_by(code, "third")
