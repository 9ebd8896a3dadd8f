"""The functions behind the layers, with the names that `torch.nn.functional` has for them.

>>> import tinynn as tn
>>> import tinynn.nn.functional as F
>>> F.softmax(tn.tensor([0.0, 0.0]), dim=0)
tensor([0.5000, 0.5000])
"""

from tinynn.ops.activation import (
    elu,
    gelu,
    leaky_relu,
    log_softmax,
    relu,
    sigmoid,
    silu,
    softmax,
    softplus,
)
from tinynn.ops.attention import scaled_dot_product_attention
from tinynn.ops.convolution import conv2d
from tinynn.ops.decoding import append_kv, decode_attention, merge_attention
from tinynn.ops.dropout import dropout
from tinynn.ops.elementwise import tanh
from tinynn.ops.embedding import embedding
from tinynn.ops.gating import gated_activation
from tinynn.ops.joining import pad
from tinynn.ops.linear import linear, linear_activation
from tinynn.ops.loss import binary_cross_entropy_with_logits, cross_entropy, mse_loss, nll_loss
from tinynn.ops.normalization import layer_norm, rms_norm
from tinynn.ops.pooling import max_pool2d
from tinynn.ops.rotary import rope

__all__ = [
    "append_kv",
    "binary_cross_entropy_with_logits",
    "conv2d",
    "cross_entropy",
    "decode_attention",
    "dropout",
    "elu",
    "embedding",
    "gated_activation",
    "gelu",
    "layer_norm",
    "leaky_relu",
    "linear",
    "linear_activation",
    "log_softmax",
    "max_pool2d",
    "merge_attention",
    "mse_loss",
    "nll_loss",
    "pad",
    "relu",
    "rms_norm",
    "rope",
    "scaled_dot_product_attention",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]
