"""Models, ready to be trained or run."""

from tinynn.models.cnn import CNN
from tinynn.models.mlp import MLP
from tinynn.models.own_config import own_settings
from tinynn.models.reading import read_gguf_config, read_hugging_face
from tinynn.models.transformer import Transformer
from tinynn.models.transformer_config import TransformerConfig
from tinynn.models.weights import load_weights, match_weights, stored_weights
from tinynn.models.writing import to_hugging_face

__all__ = [
    "CNN",
    "MLP",
    "Transformer",
    "TransformerConfig",
    "load_weights",
    "match_weights",
    "own_settings",
    "read_gguf_config",
    "read_hugging_face",
    "stored_weights",
    "to_hugging_face",
]
