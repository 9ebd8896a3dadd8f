"""Arrays out of tensors, for comparing."""

from typing import Any

import numpy as np

import tinynn as tn


def host(tensor: tn.Tensor) -> np.ndarray[Any, Any]:
    """A copy of a tensor's values as a NumPy array, wherever they are and whatever is recorded."""
    return tensor.detach().cpu().numpy().copy()
