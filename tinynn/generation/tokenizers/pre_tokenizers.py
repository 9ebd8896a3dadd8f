"""How byte-level BPE cuts a text before pairs are merged, by the name that GGUF has for it.

Merging starts anew in each piece, so that a wrong cut gives other tokens and a model that seems
dull. A GGUF file names its way in `tokenizer.ggml.pre` and leaves the regular expressions to the
reader; these are those of llama.cpp and of the models' own `tokenizer.json`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class PreTokenizer(NamedTuple):
    """One way of cutting.

    Attributes:
        patterns: regular expressions, each of which cuts the pieces of the one before: into what it
            matches and what lies between.
        nfc: whether characters are composed first (Unicode's NFC).
        whole_words: whether a piece that is a token is one, without regard to merges.
        bos: whether a text begins with BOS where the file does not say.
    """

    patterns: tuple[str, ...]
    nfc: bool = False
    whole_words: bool = False
    bos: bool = False


_LLAMA_BPE = PreTokenizer((_LLAMA3,), whole_words=True, bos=True)

PRE_TOKENIZERS = {
    "default": PreTokenizer((r"[\p{P}$+<=>^~|]+", _GPT2, r"\p{N}+", r"[0-9][0-9][0-9]")),
    "gpt-2": PreTokenizer((_GPT2,)),
    "llama-bpe": _LLAMA_BPE,
    "llama-v3": _LLAMA_BPE,
    "llama3": _LLAMA_BPE,
    "qwen2": PreTokenizer((_LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}"),), nfc=True),
    "smollm": PreTokenizer((r"\p{N}", _GPT2)),
}


def pre_tokenizer(name: str) -> PreTokenizer:
    """The way of cutting that a name stands for.

    Raises:
        ValueError: an unknown name; the message lists those that are known.

    >>> pre_tokenizer("smollm").patterns[0]
    '\\\\p{N}'
    """
    if name not in PRE_TOKENIZERS:
        raise ValueError(
            f"Tokenizer.from_gguf: tokenizer.ggml.pre is {name!r:.80}, known are "
            f"{', '.join(PRE_TOKENIZERS)}; a Hugging Face folder of the model has what it needs in "
            "tokenizer.json"
        )
    return PRE_TOKENIZERS[name]


def as_engine(way: PreTokenizer, tokenizers: Any) -> Any:
    """A pre-tokenizer of the package `tokenizers`; its pieces are spelled in GPT-2's letters."""
    pre, expression = tokenizers.pre_tokenizers, tokenizers.Regex
    cuts = [pre.Split(expression(pattern), "isolated") for pattern in way.patterns]
    return pre.Sequence([*cuts, pre.ByteLevel(add_prefix_space=False, use_regex=False)])
