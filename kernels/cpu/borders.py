"""Images with a border."""

from __future__ import annotations

import numpy as np
from numba.extending import register_jitable


@register_jitable
def bordered(image, sides, value):
    """The image [C, H, W] with so many rows and columns of a value (above, below, left, right).

    The image itself, if there are to be none.
    """
    above, below, left, right = sides
    if above + below + left + right == 0:
        return image
    channels, height, width = image.shape
    shape = channels, above + height + below, left + width + right
    result = np.full(shape, value, image.dtype)
    for c in range(channels):
        for y in range(height):
            for x in range(width):
                result[c, above + y, left + x] = image[c, y, x]
    return result
