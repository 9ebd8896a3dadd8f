"""Reading and writing: files that appear whole, safetensors, IDX, fetching."""

from tinynn.io.atomic import atomic_folder, atomic_write, remove_leftovers
from tinynn.io.fetch import fetch_wheel
from tinynn.io.idx import read_idx, write_idx
from tinynn.io.safetensors import load_safetensors, safetensors_metadata, save_safetensors
from tinynn.io.tensors import load, save

__all__ = [
    "atomic_folder",
    "atomic_write",
    "fetch_wheel",
    "load",
    "load_safetensors",
    "read_idx",
    "remove_leftovers",
    "safetensors_metadata",
    "save",
    "save_safetensors",
    "write_idx",
]
