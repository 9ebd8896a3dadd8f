"""`tn.save` and `tn.load`: tensors by name, in one safetensors file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tinynn.autograd import Tensor
from tinynn.io.safetensors import load_safetensors, save_safetensors

if TYPE_CHECKING:
    from tinynn.backend.devices import Device
    from tinynn.io.atomic import StrPath


_EXPECTED = "expected tensors by name, such as model.state_dict()"


def save(obj: Mapping[str, Tensor], f: StrPath) -> None:
    """Writes tensors by name to a file, usually `NAME.safetensors`, which is replaced as a whole.

    The arguments are those of torch.save, but only a mapping of names to tensors, such as
    `model.state_dict()`, can be written: nothing in the file is code.

    Raises:
        TypeError: something else than tensors by name.
        OSError: the file cannot be written; it is as it was before.

    >>> import os, tempfile
    >>> import tinynn as tn
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> tn.save({"weight": tn.ones(2, 3)}, path)
    >>> tn.load(path)["weight"].shape
    (2, 3)
    """
    if not isinstance(obj, Mapping):
        raise TypeError(f"save: obj is a {type(obj).__name__}; {_EXPECTED}")
    for name, tensor in obj.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"save: {name!r} is a {type(tensor).__name__}; {_EXPECTED}")
    save_safetensors(f, {name: tensor.detach().to("cpu").numpy() for name, tensor in obj.items()})


def load(f: StrPath, map_location: str | Device = "cpu") -> dict[str, Tensor]:
    """Reads the tensors of a safetensors file, by name.

    Arguments:
        f: the file.
        map_location: the device to put them on.

    Raises:
        ValueError: the file is damaged, or not safetensors.
        OSError: the file is missing or not readable.
    """
    return {name: Tensor(array).to(map_location) for name, array in load_safetensors(f).items()}
