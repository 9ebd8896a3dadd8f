"""What the tests know about each operation: samples, inputs to refuse, an independent reference.

A family of operations has a module here, named as in `tinynn/ops/`, with a list `INFOS` of OpInfo.
The modules are found by themselves. `tests/ops/` runs every test over every entry, and fails for a
public function without one. To add an operation, add an entry:

    from tests.opinfo.info import OpInfo, refuse, sample
    from tests.opinfo.common import unary

    INFOS = [
        OpInfo(
            "log",  # its name in OPS, and in torch, unless `torch` is given
            samples=unary(low=0.2, high=3),  # make -> samples; Maker says what make offers
            reference=np.log,  # the plain NumPy formula; gets float64 arrays
            refused=lambda make: [refuse(TypeError, "three")],
            result="float",  # the dtype of the result; see RESULT_DTYPES
        ),
    ]

Samples are written with NumPy arrays; the tests turn them into tensors of tinynn or of torch, also
inside lists and tuples. Every float array gets its gradient checked, so samples stay away from
points where the function has none (`make(..., avoid=(0,))`, `make(..., distinct=True)`).
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.opinfo.info import OpInfo


def _collect() -> dict[str, OpInfo]:
    infos: dict[str, OpInfo] = {}
    for module in pkgutil.iter_modules(__path__):
        for info in getattr(importlib.import_module(f"{__name__}.{module.name}"), "INFOS", ()):
            assert info.name not in infos, f"two entries are called {info.name}"
            infos[info.name] = info
    return infos


OPINFOS = _collect()
