"""Networks of all kinds give the same bits replayed."""

from __future__ import annotations

import numpy as np
import pytest

import tinynn as tn
from tests.capture.twice import Training, agree, batches_of
from tinynn.nn import functional as F


class Convolutional(tn.nn.Module):
    def __init__(self):
        self.convolution = tn.nn.Conv2d(1, 4, 3, padding=1)
        self.pool = tn.nn.MaxPool2d(2)
        self.last = tn.nn.Linear(64, 5)

    def forward(self, x):
        return self.last(self.pool(self.convolution(x).relu()).flatten(1))


class Attention(tn.nn.Module):
    def __init__(self, width=8):
        self.norm = tn.nn.LayerNorm(width)
        self.query, self.key, self.value = (tn.nn.Linear(width, width) for _ in range(3))

    def forward(self, x):
        x = self.norm(x)
        scores = self.query(x) @ self.key(x).transpose(1, 2) / x.shape[-1] ** 0.5
        mask = tn.ones(x.shape[1], x.shape[1]).tril() == 0
        scores = scores.masked_fill(mask, float("-inf"))
        return scores.softmax(-1) @ self.value(x)


class Language(tn.nn.Module):
    def __init__(self):
        self.embedding = tn.nn.Embedding(11, 8)
        self.attention = Attention()
        self.norm = tn.nn.LayerNorm(8)
        self.drop = tn.nn.Dropout(0.1)
        self.last = tn.nn.Linear(8, 11)

    def forward(self, tokens):
        x = self.embedding(tokens)
        x = x + self.drop(self.attention(x))
        return self.last(F.gelu(self.norm(x))).flatten(0, 1)


def classifier(model_class, dtype=tn.float32, optimizer_class=tn.optim.AdamW):
    def make():
        model = model_class().to(dtype)
        optimizer = optimizer_class(model.parameters(), lr=1e-2)

        def step(x, labels):
            output = model(x if x.dtype == tn.int64 else x.to(dtype))
            loss = F.cross_entropy(output, labels.reshape(-1))
            correct = (output.argmax(-1) == labels.reshape(-1)).sum()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return {"loss": loss, "correct": correct, "output": output.detach()}

        return Training(step, [model], [optimizer])

    return make


def texts(count, size=6):
    random = np.random.default_rng(0)
    drawn = [random.integers(0, 11, (size, 8)) for _ in range(count)]
    return [(tokens[:, :-1], tokens[:, 1:]) for tokens in drawn]


def test_convolutions_and_pooling():
    agree(classifier(Convolutional), batches_of(20, (6, 1, 8, 8), classes=5))


def test_embeddings_attention_and_normalization():
    agree(classifier(Language), texts(20))


@pytest.mark.parametrize("dtype", [tn.float64, tn.float16, tn.bfloat16])
def test_other_dtypes(dtype):
    agree(classifier(Convolutional, dtype), batches_of(5, (6, 1, 8, 8), classes=5))
