"""How close two results must be, by dtype: the one table of the operations' tests."""

from __future__ import annotations

from typing import Any

import numpy as np

# dtype: (relative, absolute). A few units in the last place of a sum of tens of elements of size 1.
TOLERANCES = {
    "float64": (1e-11, 1e-12),
    "float32": (1e-5, 2e-6),
    "float16": (4e-3, 4e-3),
}

# Central differences in float64 with the step below: truncation 1e-10, rounding 1e-11, where values
# and derivatives are of size 1.
DIFFERENCE_STEP = 1e-5
DIFFERENCE_TOLERANCE = (1e-6, 1e-7)


def assert_close(actual: Any, expected: Any, factor: float = 1.0) -> None:
    """The arrays have one shape, and values within the tolerance of the first one's dtype."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"shape {actual.shape}, expected {expected.shape}"
    relative, absolute = TOLERANCES.get(actual.dtype.name, (0, 0))
    with np.errstate(over="ignore"):
        expected = expected.astype(actual.dtype)
    np.testing.assert_allclose(
        actual.astype(np.float64),
        expected.astype(np.float64),
        rtol=relative * factor,
        atol=absolute * factor,
    )
