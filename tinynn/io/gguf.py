"""GGUF, the file format of llama.cpp: a model's settings, tokenizer and weights in one file.

Nothing in such a file is executed when it is read. `gguf_header.py` reads what stands before the
weights; the weights stay in the file, which is mapped.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from tinynn.io.gguf_header import read_header
from tinynn.io.stored import StoredTensor, map_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinynn.io.atomic import StrPath


class GGUFFile(NamedTuple):
    """What `read_gguf` gives.

    Attributes:
        path: the file.
        version: of the format, 2 or 3.
        metadata: plain Python values by key; an array is a list of str, or a NumPy array.
        tensors: by name, in the order of the file.
    """

    path: StrPath
    version: int
    metadata: dict[str, Any]
    tensors: Mapping[str, StoredTensor]

    def __repr__(self) -> str:
        return (
            f"GGUFFile({str(self.path)!r}, {len(self.metadata)} keys, {len(self.tensors)} tensors)"
        )


def read_gguf(path: StrPath) -> GGUFFile:
    """Reads the header of a GGUF file and maps its tensors, whose values are read when asked for.

    Raises:
        ValueError: the file is not GGUF of version 2 or 3, or is truncated, damaged or hostile; the
            message is one line that names the file, the field and the limit. No more memory is
            taken than some times the header's size, which is bounded.
        OSError: the file is missing or not readable.

    >>> import os, tempfile
    >>> import numpy as np
    >>> from tinynn.io import write_gguf
    >>> path = os.path.join(tempfile.mkdtemp(), "model.gguf")
    >>> write_gguf(path, {"llama.block_count": 30}, {"norm": np.ones(4, np.float16)})
    >>> file = read_gguf(path)
    >>> file.metadata, file.tensors["norm"]
    ({'llama.block_count': 30}, StoredTensor('norm', F16, (4,)))
    """
    content = map_file(path, "read_gguf")
    header = read_header(content.data, path)
    tensors = {
        name: StoredTensor(name, type, shape, content[start : start + nbytes])
        for name, type, shape, start, nbytes in header.entries
    }
    return GGUFFile(path, header.version, header.metadata, MappingProxyType(tensors))
