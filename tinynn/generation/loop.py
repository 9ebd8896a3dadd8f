"""`generate` and `stream`: a model writes on from prompts, several at a time."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from tinynn.autograd.grad_mode import no_grad
from tinynn.generation.requests import Options, requests_of
from tinynn.generation.room import cache_for
from tinynn.generation.steps import Steps
from tinynn.ops.creation import tensor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np

    from tinynn.generation.requests import Request
    from tinynn.generation.sequence import Piece, Text
    from tinynn.inference import KVCache
    from tinynn.models import Transformer

    Array = np.ndarray[Any, Any]


def generate(model: Transformer, prompts: Any, max_new_tokens: int = 128, **options: Any) -> Any:
    """The texts that a model writes on from prompts, when all are done.

    Arguments:
        model: as `generation.load` gives it, or any `Transformer`, then with prompts of ids.
        prompts: a string or a list of token ids, or a list of such; of any lengths.
        max_new_tokens: the most tokens of a text; the model's context ends it as well.
        temperature, top_k, top_p, min_p, repetition_penalty, presence_penalty: see `Sampling`; by
            default the most probable token is taken.
        stop: strings that end a text and are not part of it.
        stop_tokens: ids that end it; None for the tokenizer's.
        seed: of the draws, a number, or one for each text: each has its own, whatever else is
            generated.
        n: how many texts for each prompt, which is read once.
        logprobs: how many of the most probable tokens are told beside each; None for nothing.
        drafts: how many tokens prompt look-up may propose in a step, for temperature 0 only; the
            text is the same.
        use_cache: without a cache all is computed again for each token.
        cache_dtype: what keys and values are kept in: "float32"; "float16" or "bfloat16", half the
            memory; "int8" with a scale for each vector, about a quarter.
        chunk: the most tokens of a prompt that go through the model in one step.
        batch_size: how many texts are generated side by side; others wait.

    Returns a `Result` for each text, n for each prompt; a single one for a single prompt and n = 1.

    Raises ValueError for options out of range and for a prompt that is empty or longer than the
    context, TypeError for prompts that are neither strings nor ids and for another cache_dtype, and
    MemoryError, before any is taken, where the cache has no room.

    >>> import tinynn as tn
    >>> from tinynn.models import Transformer, TransformerConfig
    >>> config = TransformerConfig(vocab_size=50, hidden_size=32, num_layers=2, num_heads=1)
    >>> result = generate(Transformer(config), [3, 1, 4], max_new_tokens=5)
    >>> len(result.token_ids), result.finish_reason
    (5, 'length')
    """
    requests, settings, is_single = requests_of(model, prompts, max_new_tokens, **options)
    for _ in _run(model, requests, settings):
        pass
    results = [text.result() for request in requests for text in request]
    return results[0] if is_single else results


def stream(
    model: Transformer, prompts: Any, max_new_tokens: int = 128, **options: Any
) -> Iterator[Piece]:
    """As `generate`, but gives each token as a `Piece` as soon as it is there."""
    requests, settings, _ = requests_of(model, prompts, max_new_tokens, **options)
    return _run(model, requests, settings)


def _run(model: Transformer, requests: Sequence[Request], settings: Options) -> Iterator[Piece]:
    was_training = model.training
    model.eval()
    try:
        if settings.use_cache:
            yield from _cached(model, requests, settings)
        else:
            for request in requests:
                for text in request:
                    yield from _plain(model, text)
    finally:
        model.train(was_training)


def _plain(model: Transformer, text: Text) -> Iterator[Piece]:
    """Without a cache: all tokens go through the model for each new one."""
    while text.finish_reason is None:
        with no_grad():
            given = tensor([text.prompt + text.generated], device=model.device)
            scores = model(given).to("cpu").numpy()[0, -1]
        yield text.append(text.choose(scores), scores)


def _cached(model: Transformer, requests: Sequence[Request], settings: Options) -> Iterator[Piece]:
    lengths = [len(text.prompt) + text.ending.length for request in requests for text in request]
    steps = Steps(model, cache_for(model, lengths, settings))
    waiting: deque[Request] = deque(requests)
    active: list[Text] = []
    while waiting or active:
        while waiting and (not active or len(active) + settings.n <= settings.batch_size):
            first, *others = waiting.popleft()
            first.slot, first.siblings = steps.cache.start(), others
            active.append(first)
        yield from advance(steps, active, settings)
        for text in active:
            if text.finish_reason is not None:
                steps.cache.free(text.slot)
        active = [text for text in active if text.finish_reason is None]


def advance(steps: Steps, active: list[Text], settings: Options) -> Iterator[Piece]:
    """One step of texts that have slots in a cache; those that share a prompt join them when it is
    read."""
    cache = steps.cache
    for text, scores in _step(steps, active, settings):
        siblings, text.siblings = text.siblings, []
        for sibling in siblings:
            sibling.slot = cache.fork(text.slot)
        for taker in (text, *siblings):
            yield from _taken(cache, taker, scores)
        active += siblings


def _step(steps: Steps, active: Sequence[Text], settings: Options) -> list[tuple[Text, Array]]:
    """Sends what is pending through the model; gives the texts that have read all, with scores."""
    tokens: list[int] = []
    counts: list[int] = []
    rows: list[int] = []
    ready: list[Text] = []
    for text in active:
        chunk, text.pending = text.pending[: settings.chunk], text.pending[settings.chunk :]
        if not text.pending:
            room = text.ending.length - len(text.generated) - 1
            if settings.drafts and text.generated and room > 0:
                known = text.prompt + text.generated
                text.drafts = text.lookup.draft(known, min(settings.drafts, room))
            ready.append(text)
            first = len(tokens) + len(chunk) - 1
            rows += range(first, first + 1 + len(text.drafts))
        counts.append(len(chunk) + len(text.drafts))
        tokens += chunk + text.drafts
    batch = steps.cache.batch([text.slot for text in active], counts)
    left = max(text.ending.length - len(text.generated) for text in active)
    found, results, start = steps.scores(tokens, batch, rows, left), [], 0
    for text in ready:
        stop = start + 1 + len(text.drafts)
        results.append((text, found[start:stop]))
        start = stop
    return results


def _taken(cache: KVCache, text: Text, scores: Array) -> list[Piece]:
    """The tokens that a step gives: one, and one more for each draft that proves right.

    Wrong drafts leave the cache before anybody sees a token, and may see no more of them.
    """
    pieces: list[Piece] = []
    for row, draft in zip(scores, [*text.drafts, None], strict=False):
        token = text.choose(row)
        pieces.append(text.append(token, row))
        if token != draft or text.finish_reason is not None:
            break
    # The last one was not a draft, or ends the text.
    wrong = len(text.drafts) - (len(pieces) - 1)
    if wrong:
        cache.truncate(text.slot, cache.length(text.slot) - wrong)
    text.drafts, text.pending = [], [text.generated[-1]]
    return pieces
