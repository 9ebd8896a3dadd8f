"""Reading and writing: files that appear whole, safetensors, GGUF, IDX, fetching."""

from tinynn.io.atomic import atomic_folder, atomic_write, remove_leftovers
from tinynn.io.fetch import fetch_folder, fetch_wheel
from tinynn.io.gguf import GGUFFile, read_gguf
from tinynn.io.gguf_writing import write_gguf
from tinynn.io.huggingface import HuggingFaceFolder, read_folder
from tinynn.io.huggingface_writing import save_folder
from tinynn.io.idx import read_idx, write_idx
from tinynn.io.safetensors import (
    load_safetensors,
    mapped_safetensors,
    safetensors_metadata,
    save_safetensors,
)
from tinynn.io.stored import StoredTensor
from tinynn.io.tensors import load, save

__all__ = [
    "GGUFFile",
    "HuggingFaceFolder",
    "StoredTensor",
    "atomic_folder",
    "atomic_write",
    "fetch_folder",
    "fetch_wheel",
    "load",
    "load_safetensors",
    "mapped_safetensors",
    "read_folder",
    "read_gguf",
    "read_idx",
    "remove_leftovers",
    "safetensors_metadata",
    "save",
    "save_folder",
    "save_safetensors",
    "write_gguf",
    "write_idx",
]
