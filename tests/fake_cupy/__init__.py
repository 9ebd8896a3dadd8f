"""A strict stand-in for CuPy 14, for machines without a GPU: an array module, NumPy inside.

It has what CuPy has, lacks what CuPy lacks, and lets no array slip between host and device unseen.
Code that passes its tests here and with NumPy runs with CuPy too, but for kernels and for rounding.
"""

from types import SimpleNamespace as _SimpleNamespace
from typing import Any as _Any

import numpy as _numpy

from tests.fake_cupy import tables as _tables
from tests.fake_cupy.array import add_methods as _add_methods
from tests.fake_cupy.array import add_operators as _add_operators
from tests.fake_cupy.array import ndarray
from tests.fake_cupy.array import on_host as _on_host
from tests.fake_cupy.array import parse as _parse
from tests.fake_cupy.functions import (
    array,
    asarray,
    asnumpy,
    einsum,
    empty,
    empty_like,
    put_along_axis,
    take,
    take_along_axis,
    ufunc,
)


def _from_numpy(table: str, module: _Any) -> dict[str, _Any]:
    """Name -> function, for a table of NumPy functions behind CuPy's signatures."""
    return {
        name: _on_host(name, signature, getattr(module, name))
        for name, signature in _parse(table).items()
    }


_ufuncs = {name: ufunc(getattr(_numpy, name)) for name in _tables.UFUNCS}
globals().update({name: getattr(_numpy, name) for name in _tables.BORROWED})
globals().update(_ufuncs)
globals().update(_from_numpy(_tables.FUNCTIONS, _numpy))
linalg = _SimpleNamespace(**_from_numpy(_tables.LINALG, _numpy.linalg))
_add_methods()
_add_operators(_ufuncs)


def __getattr__(name: str) -> _Any:
    raise AttributeError(
        f"the fake of CuPy has no {name!r}: either CuPy has none, or the name is missing in "
        "tests/fake_cupy/tables.py; look at CuPy's documentation before you add it"
    )
