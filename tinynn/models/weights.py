"""Weights from files into a `Transformer`, and back: every tensor is accounted for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from tinynn.backend.devices import transfer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tinynn.models.families import Family, Source
    from tinynn.models.transformer import Transformer

Array = Any


class Stored(Protocol):
    """A tensor in a file, as `tinynn.io` gives it."""

    shape: tuple[int, ...]
    type: str
    raw: Array  # its bytes

    def array(self) -> Array:
        """Its values in memory that is mapped, if the file holds them as they are."""
        ...

    def float32(self) -> Array:
        """Its values."""
        ...


class Match(NamedTuple):
    """A tensor in a file, and what makes it a weight of ours."""

    stored: Stored
    change: Callable[[Array], Array] | None

    def array(self) -> Array:
        """The weight in float32: mapped, if the file holds it as it is."""
        array = self.stored.array() if self.stored.type == "F32" else self.stored.float32()
        return array if self.change is None else self.change(array)


def match_weights(
    model: Transformer, tensors: Mapping[str, Stored], family: Family, source: str
) -> dict[str, Match]:
    """{the model's name of a weight: the tensor of a file}, when every tensor is accounted for.

    Arguments:
        model: whose shapes and names are asked for.
        tensors: by the names that the file has for them.
        family: what the file calls them.
        source: how messages call the file.

    Raises ValueError that names every tensor that is missing, not expected or of another shape.
    """
    parameters = dict(model.named_parameters())
    sources = dict(named_sources(parameters, tensors, family))
    problems = [f"missing: {own.name}" for own in sources.values() if own.name not in tensors]
    used = {own.name for own in sources.values()}
    if model.lm_head is None and family.names["lm_head.weight"].name in tensors:
        used.add(family.names["lm_head.weight"].name)  # the embedding once more
    problems += [
        f"unexpected: {name} {tensors[name].shape}"
        for name in tensors
        if name not in used and not name.endswith(family.ignored or ("\0",))
    ]
    problems += [
        f"wrong shape: {own.name} is {tensors[own.name].shape}, which gives {found}, expected "
        f"{parameters[name].shape}"
        for name, own in sources.items()
        if own.name in tensors
        and (found := _shape(tensors[own.name].shape, own)) != parameters[name].shape
    ]
    if problems:
        shown = "; ".join(problems[:8]) + (f"; and {len(problems) - 8} more" * (len(problems) > 8))
        raise ValueError(f"{source} does not fit the model that its config describes: {shown}")
    return {name: Match(tensors[own.name], own.change) for name, own in sources.items()}


def load_weights(
    model: Transformer, tensors: Mapping[str, Stored], family: Family, source: str
) -> None:
    """Makes a file's tensors the model's weights, in float32.

    Tensors that the file keeps in float32 and as we do are mapped, not read: they take memory as
    they are used, and cannot be trained in place. Arguments and errors are those of
    `match_weights`; after an error the model is as it was.
    """
    parameters = dict(model.named_parameters())
    for name, match in match_weights(model, tensors, family, source).items():
        parameter = parameters[name]
        parameter.data = transfer(match.array(), parameter.device)
        parameter.bump_version()


def stored_weights(model: Transformer, family: Family) -> dict[str, Array]:
    """{name in a file: array}, the inverse of `load_weights` for families that change nothing."""
    found = {}
    for name, own in named_sources(dict(model.named_parameters()), {}, family):
        found[own.name] = np.asarray(model.state_dict()[name].to("cpu").numpy())
    return found


def named_sources(
    parameters: Mapping[str, Any], tensors: Mapping[str, Stored], family: Family
) -> Iterator[tuple[str, Source]]:
    """For each of our names, where it comes from. Names may lack the prefix that a head adds."""
    bare = bool(tensors) and not any(name.startswith(family.prefix) for name in tensors)
    for name in parameters:
        parts = name.split(".")
        number = parts[1] if parts[0] == "layers" else ""
        pattern = ".".join(["layers", "{}", *parts[2:]]) if number else name
        own = family.names[pattern]
        theirs = own.name.replace("{}", number)
        if bare:
            theirs = theirs.removeprefix(family.prefix)
        yield name, own._replace(name=theirs)


def _shape(shape: tuple[int, ...], own: Source) -> tuple[int, ...]:
    """The shape of what becomes of an array of a shape, without its memory."""
    if own.change is None:
        return tuple(shape)
    nothing = np.broadcast_to(np.zeros((), np.int8), shape)
    return tuple(own.change(nothing).shape)
