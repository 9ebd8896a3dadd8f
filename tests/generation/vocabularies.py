"""Small vocabularies, trained on the spot, as GGUF's metadata has them."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from tests.generation.texts import mixed_lines

KEY = "tokenizer.ggml."
SPECIAL = ["<|end|>", "<|start|>"]


@cache
def _byte_level(pre: str) -> tuple[list[str], list[str]]:
    """(tokens, merges)."""
    from tinynn.generation.tokenizers.pre_tokenizers import as_engine, pre_tokenizer

    engine = tokenizers.Tokenizer(models.BPE())
    engine.pre_tokenizer = as_engine(pre_tokenizer(pre), tokenizers)
    trainer = trainers.BpeTrainer(
        vocab_size=900,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    engine.train_from_iterator(mixed_lines(2000, seed=1), trainer)
    model = json.loads(engine.to_str())["model"]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    return sorted(model["vocab"], key=model["vocab"].get), merges


def byte_level(way: str, **more: Any) -> dict[str, Any]:
    """Byte-level BPE of 902 tokens; 0 ends and 1 begins a text, and 901 is a user's word."""
    tokens, merges = _byte_level(way)
    kinds = [3, 3, *[1] * (len(tokens) - 2), 4]
    return {
        f"{KEY}model": "gpt2",
        f"{KEY}pre": way,
        f"{KEY}tokens": [*tokens, "🦀 crab"],
        f"{KEY}token_type": kinds,
        f"{KEY}merges": merges,
        f"{KEY}bos_token_id": 1,
        f"{KEY}eos_token_id": 0,
    } | {f"{KEY}{name}": value for name, value in more.items()}


@cache
def _sentence_pieces() -> list[str]:
    engine = tokenizers.Tokenizer(models.BPE())
    engine.pre_tokenizer = pre_tokenizers.Metaspace(split=True)
    trainer = trainers.BpeTrainer(vocab_size=700, show_progress=False, max_token_length=8)
    engine.train_from_iterator(
        [" ".join(line.split()) for line in mixed_lines(2000, seed=2)], trainer
    )
    vocabulary = engine.get_vocab()
    return sorted(vocabulary, key=vocabulary.get)


def sentence_pieces(**more: Any) -> dict[str, Any]:
    """SentencePiece's: unknown, begin, end, 256 bytes, then pieces whose scores fall."""
    head = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces = [piece for piece in _sentence_pieces() if piece not in head]
    return {
        f"{KEY}model": "llama",
        f"{KEY}tokens": head + pieces,
        f"{KEY}scores": [0.0] * len(head) + [-float(place) for place in range(len(pieces))],
        f"{KEY}token_type": [2, 3, 3, *[6] * 256, *[1] * len(pieces)],
        f"{KEY}bos_token_id": 1,
        f"{KEY}eos_token_id": 2,
        f"{KEY}unknown_token_id": 0,
    } | {f"{KEY}{name}": value for name, value in more.items()}


def write_byte_level_folder(folder: Any, pre: str = "smollm") -> None:
    """A Hugging Face folder with byte-level BPE."""
    from tinynn.generation.tokenizers.pre_tokenizers import as_engine, pre_tokenizer

    metadata = byte_level(pre)
    ids = {token: id for id, token in enumerate(metadata[f"{KEY}tokens"][:-1])}
    merges = [tuple(merge.split(" ")) for merge in metadata[f"{KEY}merges"]]
    engine = tokenizers.Tokenizer(models.BPE(ids, merges))
    engine.pre_tokenizer = as_engine(pre_tokenizer(pre), tokenizers)
    engine.decoder = decoders.ByteLevel()
    engine.add_special_tokens(SPECIAL)
    engine.add_tokens([tokenizers.AddedToken("🦀 crab", normalized=False)])
    _write(folder, engine, bos_token="<|start|>", eos_token="<|end|>")


def write_sentence_piece_folder(folder: Any) -> None:
    """A Hugging Face folder as Llama 2's: every text begins with <s>."""
    metadata = sentence_pieces()
    from tinynn.generation.tokenizers.gguf_vocabulary import parts_from_gguf

    engine = parts_from_gguf(metadata).engine
    joined = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    engine.decoder = decoders.Sequence([*joined, decoders.Strip(" ", 1, 0)])
    engine.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    _write(folder, engine, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def _write(folder: Any, engine: Any, **settings: Any) -> None:
    engine.save(str(folder / "tokenizer.json"))
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    settings["clean_up_tokenization_spaces"] = False
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
