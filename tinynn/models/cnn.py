"""CNN: convolutions that halve the image, and a classifier of what is left."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tinynn import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinynn.autograd import Tensor


class CNN(nn.Module):
    """Conv2d, MaxPool2d and ReLU, as often as there are channels; then Linear, ReLU, Linear.

    The default is for MNIST, of the shape of LeNet-5 (LeCun et al., 1998): 28x28 -> 8 x 14x14 ->
    16 x 7x7 -> 128 -> 10 scores, of which cross-entropy takes the softmax. ReLU comes after
    pooling, which gives the same result and is a quarter of the work.

    Arguments:
        image: (rows, columns) of the grey images.
        channels: the number of filters of each convolution.
        kernel_size: the size of a filter; odd, so that the convolution keeps the image's size.
        hidden: the units between the convolutions and the scores.
        classes: the number of scores.
        dropout: the share of the hidden units that is dropped in training.

    The input is (N, rows, columns), (N, 1, rows, columns) or (N, rows * columns).

    Raises ValueError for sizes below 1 and images too small to be halved so often.

    >>> import tinynn as tn
    >>> CNN()(tn.zeros(64, 28, 28)).shape
    (64, 10)
    """

    def __init__(
        self,
        image: tuple[int, int] = (28, 28),
        channels: Sequence[int] = (8, 16),
        kernel_size: int = 5,
        hidden: int = 128,
        classes: int = 10,
        dropout: float = 0.0,
    ) -> None:
        rows, columns = (size >> len(channels) for size in image)
        if min(rows, columns, kernel_size, hidden, classes, *channels) < 1 or not channels:
            raise ValueError(
                "CNN: expected one or more numbers of channels, all sizes positive, and an image "
                f"that can be halved once for each, got image={tuple(image)}, "
                f"channels={list(channels)}, kernel_size={kernel_size}, hidden={hidden}, "
                f"classes={classes}"
            )
        self.image = (image[0], image[1])
        # The sizes of the input, of what each part makes of it, and of the scores.
        layers = [
            f"{count}x{image[0] >> halved}x{image[1] >> halved}"
            for halved, count in enumerate(channels, 1)
        ]
        self.sizes = (f"{image[0]}x{image[1]}", *layers, hidden, classes)
        self.features = nn.Sequential()
        for inputs, outputs in zip((1, *channels), channels, strict=False):
            self.features.append(nn.Conv2d(inputs, outputs, kernel_size, padding="same"))
            self.features.append(nn.MaxPool2d(2)).append(nn.ReLU())
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(channels[-1] * rows * columns, hidden), nn.ReLU()
        )
        if dropout:
            self.classifier.append(nn.Dropout(dropout))
        self.classifier.append(nn.Linear(hidden, classes))

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim < 2 or math.prod(input.shape[1:]) != math.prod(self.image):
            raise ValueError(
                f"CNN: expected images of {self.image[0]}x{self.image[1]} numbers, got an input of "
                f"{input.shape}"
            )
        images = input.reshape(input.shape[0], 1, *self.image)
        scores: Tensor = self.classifier(self.features(images))
        return scores
