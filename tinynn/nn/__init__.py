"""Layers, losses and initialisers."""

from tinynn.nn import functional, init, utils
from tinynn.nn.activation import (
    ELU,
    GELU,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from tinynn.nn.attention import AttentionCache, MultiheadAttention
from tinynn.nn.containers import ModuleList, Sequential
from tinynn.nn.convolution import Conv2d
from tinynn.nn.dropout import Dropout
from tinynn.nn.embedding import Embedding
from tinynn.nn.feed_forward import FeedForward
from tinynn.nn.linear import Linear
from tinynn.nn.loss import BCEWithLogitsLoss, CrossEntropyLoss, MSELoss, NLLLoss
from tinynn.nn.module import Module
from tinynn.nn.normalization import LayerNorm, RMSNorm
from tinynn.nn.parameter import Parameter
from tinynn.nn.pooling import MaxPool2d
from tinynn.nn.rotary import RotaryEmbedding
from tinynn.nn.self_attention import SelfAttention
from tinynn.nn.shape import Flatten, Identity

__all__ = [
    "ELU",
    "GELU",
    "AttentionCache",
    "BCEWithLogitsLoss",
    "Conv2d",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "FeedForward",
    "Flatten",
    "Identity",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "MaxPool2d",
    "Module",
    "ModuleList",
    "MultiheadAttention",
    "NLLLoss",
    "Parameter",
    "RMSNorm",
    "ReLU",
    "RotaryEmbedding",
    "SelfAttention",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "functional",
    "init",
    "utils",
]
