"""Chat templates: the text that a model was trained to see for a conversation.

A template is a program in Jinja's language that comes with a model, from anyone. It runs in Jinja's
sandbox with what Hugging Face's templates have there, and with limits on what it may use
(`sandbox`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tinynn.generation.extras import needed


class ChatTemplateError(ValueError):
    """A template that refuses a conversation, or that is refused: it is damaged, reaches for what
    it must not, or uses too much."""


def render(
    template: str,
    messages: Sequence[Mapping[str, Any]],
    add_generation_prompt: bool = True,
    bos_token: str = "",
    eos_token: str = "",
    **variables: Any,
) -> str:
    """The text of a conversation.

    Arguments:
        template: Jinja, as in `tokenizer_config.json` or a GGUF file.
        messages: at least one; each has a role, a str, and content: a str, or parts (a list of
            mappings), or None beside `tool_calls`. What else is in it is for the template.
        add_generation_prompt: whether the beginning of an answer is written at the end.
        bos_token, eos_token: the texts of these tokens.
        variables: what else the template looks at: plain data, as in JSON. `tools` and `documents`
            are None where they are not given.

    Raises:
        TypeError, ValueError: messages that are not as above; the message says which one.
        ChatTemplateError: see there; one line.
        ImportError: the package `jinja2` is not installed.

    >>> template = "{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %}"
    >>> render(template, [{"role": "user", "content": "Hello"}])
    '[user] Hello'
    """
    check_messages(messages)
    needed("jinja2", "Tokenizer.chat")
    from tinynn.generation.chat_templates.sandbox import run

    given = {
        "tools": None,
        "documents": None,
        **variables,
        "messages": messages,
        "add_generation_prompt": add_generation_prompt,
        "bos_token": bos_token,
        "eos_token": eos_token,
    }
    try:
        return run(template, given)
    except MemoryError:
        reason = "it needs more memory than there is"
    except RecursionError:
        reason = "it calls itself without end, or is nested too deep"
    except Exception as error:  # a template can raise anything that Python does
        reason = f"{type(error).__name__}: {error}".removeprefix("TemplateRefused: ")
        line = getattr(error, "lineno", None)
        reason = reason if line is None else f"line {line}: {reason}"
    raise ChatTemplateError(f"the chat template cannot be used: {' '.join(reason.split()):.500}")


def check_messages(messages: Any) -> None:
    """Checks what `render` says of messages; raises as it does."""
    if isinstance(messages, (str, Mapping)) or not isinstance(messages, Sequence):
        raise TypeError(
            "chat: messages must be a list of {'role': ..., 'content': ...}, got "
            f"{type(messages).__name__}"
        )
    if not messages:
        raise ValueError("chat: messages is empty, expected at least one message")
    for place, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise TypeError(
                f"chat: messages[{place}] must be {{'role': ..., 'content': ...}}, got "
                f"{type(message).__name__}"
            )
        role = message.get("role")
        if not isinstance(role, str):
            raise ValueError(f"chat: messages[{place}]['role'] must be a str, got {role!r:.40}")
        if not _is_content(message.get("content"), bool(message.get("tool_calls"))):
            raise ValueError(
                f"chat: messages[{place}]['content'] must be a str or a list of parts, got "
                f"{message.get('content')!r:.40}"
            )


def _is_content(content: Any, has_calls: bool) -> bool:
    if isinstance(content, list):
        return all(isinstance(part, Mapping) for part in content)
    return isinstance(content, str) or (content is None and has_calls)
