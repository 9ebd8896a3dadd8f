"""A tokenizer as the files of a folder, from which `Tokenizer.from_folder` reads the same one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinynn.generation.tokenizers.tokenizer import Tokenizer


def tokenizer_files(tokenizer: Tokenizer) -> dict[str, bytes]:
    """{name: content} of tokenizer.json, tokenizer_config.json and chat_template.jinja."""
    settings: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast"}
    for role, id in _roles(tokenizer).items():
        # Named here a token becomes a control token, so only what is one is named.
        if id is not None and tokenizer.is_special(id):
            settings[role] = tokenizer.token_text(id)
    files = {
        "tokenizer.json": tokenizer.to_json(),
        "tokenizer_config.json": json.dumps(settings, indent=2, ensure_ascii=False) + "\n",
    }
    if tokenizer.chat_template is not None:
        files["chat_template.jinja"] = tokenizer.chat_template
    return {name: text.encode() for name, text in files.items()}


def special_ids(tokenizer: Tokenizer | None) -> dict[str, Any]:
    """What config.json says of the tokens that begin, end and fill up a text."""
    if tokenizer is None:
        return {"bos_token_id": None, "eos_token_id": None}
    ends = list(tokenizer.eos_ids)
    found: dict[str, Any] = {
        "bos_token_id": tokenizer.bos_id,
        "eos_token_id": (ends if len(ends) > 1 else ends[0]) if ends else None,
    }
    return found if tokenizer.pad_id is None else found | {"pad_token_id": tokenizer.pad_id}


def _roles(tokenizer: Tokenizer) -> dict[str, int | None]:
    return {
        "bos_token": tokenizer.bos_id,
        "eos_token": next(iter(tokenizer.eos_ids), None),
        "pad_token": tokenizer.pad_id,
    }


def check_rereading(tokenizer: Tokenizer, again: Tokenizer) -> None:
    """Raises ValueError where a tokenizer that was written and read again is not the same."""
    for name, what in _KEPT.items():
        if getattr(tokenizer, name) != getattr(again, name):
            raise ValueError(
                f"save: the tokenizer cannot be written as tokenizer.json: {what} would change; "
                "save the model without it (model.tokenizer = None)"
            )


_KEPT = {
    "_pieces": "the texts of its tokens",
    "_special": "which of its tokens are control tokens",
    "bos_id": "the token that begins a text",
    "eos_ids": "the tokens that end a text",
    "pad_id": "the token that fills up a batch",
    "chat_template": "the chat template",
    "leading_space": "the space before a text",
}
