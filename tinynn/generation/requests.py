"""What `generate` is asked for: prompts and options, checked before any work begins."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from tinynn.backend.dtypes import as_dtype
from tinynn.generation.sampling import Sampling
from tinynn.generation.sequence import Ending, Text
from tinynn.inference import CACHE_DTYPES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tinynn.models import Transformer


@dataclass(frozen=True, kw_only=True)
class Options:
    """See `generate` for what they mean. ValueError for one that is out of range, TypeError for a
    dtype that no cache has."""

    stop: Sequence[str] = ()
    stop_tokens: Sequence[int] | None = None
    seed: int | Sequence[int] = 0
    n: int = 1
    logprobs: int | None = None
    drafts: int = 0
    use_cache: bool = True
    cache_dtype: Any = "float32"
    chunk: int = 512
    batch_size: int = 16

    def __post_init__(self) -> None:
        object.__setattr__(self, "stop", [self.stop] if isinstance(self.stop, str) else self.stop)
        for name, least in (("n", 1), ("drafts", 0), ("chunk", 1), ("batch_size", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"generate: {name} must be at least {least}, got {value!r}")
        if self.logprobs is not None and not self.logprobs >= 0:
            raise ValueError(f"generate: logprobs must be None or 0 or more, got {self.logprobs}")
        if not all(isinstance(stop, str) and stop for stop in self.stop):
            raise ValueError(f"generate: stop must be strings that are not empty, got {self.stop}")
        if not _is_cache_dtype(self.cache_dtype):
            raise TypeError(
                "generate: cache_dtype must be float32, float16, bfloat16 or int8, got "
                f"{self.cache_dtype!r}"
            )


Request = list[Text]  # of one prompt: it is read for the first, the others share what it has read


def requests_of(
    model: Transformer, prompts: Any, max_new_tokens: int, **given: Any
) -> tuple[list[Request], Options, bool]:
    """The texts to be generated, the options, and whether there is a single text."""
    sampling, options = options_of(given)
    if max_new_tokens < 1:
        raise ValueError(f"generate: max_new_tokens must be at least 1, got {max_new_tokens}")
    if options.drafts and (sampling.temperature > 0 or not options.use_cache):
        raise ValueError(
            "generate: drafts are for temperature 0 with a cache; got temperature "
            f"{sampling.temperature} and use_cache={options.use_cache}"
        )
    tokenizer = getattr(model, "tokenizer", None)
    if options.stop and tokenizer is None:
        raise ValueError("generate: stop strings need a model with a tokenizer, this one has none")
    single, listed = _listed(prompts)
    ids = [_ids(model, prompt, tokenizer) for prompt in listed]
    stops = options.stop_tokens
    if stops is None:
        stops = () if tokenizer is None else tokenizer.eos_ids
    seeds = _seeds(options.seed, len(ids) * options.n)
    requests: list[Request] = []
    for prompt in ids:
        room = model.config.max_positions - len(prompt)
        ending = Ending(frozenset(stops), tuple(options.stop), min(max_new_tokens, room))
        request: Request = []
        for _ in range(options.n):
            index = len(requests) * options.n + len(request)
            text = Text(index, prompt, sampling, ending, seeds[index], tokenizer, options.logprobs)
            request.append(text)
        requests.append(request)
    return requests, options, single and options.n == 1


def options_of(given: Mapping[str, Any]) -> tuple[Sampling, Options]:
    """What `generate` is given by name, checked; TypeError for a name that it does not know."""
    known = {field.name for field in fields(Sampling)}, {field.name for field in fields(Options)}
    unknown = set(given) - known[0] - known[1]
    if unknown:
        raise TypeError(
            f"generate: {', '.join(sorted(unknown))} is not an option; there are "
            f"{', '.join(sorted(known[0] | known[1]))}"
        )
    sampling, options = ({key: given[key] for key in names & set(given)} for names in known)
    return Sampling(**sampling), Options(**options)


def _is_cache_dtype(dtype: Any) -> bool:
    try:
        return as_dtype(dtype).name in CACHE_DTYPES
    except TypeError:
        return False


def _listed(prompts: Any) -> tuple[bool, list[Any]]:
    """Whether there is one prompt, and the list of all."""
    if isinstance(prompts, str):
        return True, [prompts]
    prompts = list(prompts)
    if not prompts:
        raise ValueError("generate: there is no prompt")
    if all(_is_id(item) for item in prompts):
        return True, [prompts]
    return False, prompts


def _ids(model: Transformer, prompt: Any, tokenizer: Any) -> list[int]:
    if isinstance(prompt, str):
        if tokenizer is None:
            raise TypeError("generate: a prompt is text, but the model has no tokenizer; give ids")
        prompt = tokenizer.encode(prompt)
    prompt, size = list(prompt), model.config.vocab_size
    for token in prompt:
        if not _is_id(token):
            raise TypeError(f"generate: prompts must be strings or lists of ids, got {token!r}")
        if not 0 <= token < size:
            raise ValueError(f"generate: token {token} of a prompt is not one of 0 to {size - 1}")
    if not prompt:
        raise ValueError("generate: a prompt is empty; give at least one token")
    if len(prompt) >= model.config.max_positions:
        raise ValueError(
            f"generate: a prompt of {len(prompt)} tokens leaves no room in the model's context of "
            f"{model.config.max_positions}"
        )
    return [int(token) for token in prompt]


def _is_id(item: Any) -> bool:
    return hasattr(item, "__index__") and not isinstance(item, bool)


def _seeds(seed: Any, count: int) -> list[tuple[int, int]]:
    """(key, stream) of each text's draws; a seed of its own gives the same draws anywhere."""
    if _is_id(seed):
        return [(int(seed), index) for index in range(count)]
    seeds = list(seed)
    if len(seeds) != count:
        raise ValueError(f"generate: {len(seeds)} seeds for {count} texts")
    return [(int(own), 0) for own in seeds]
