"""Chat templates: what Hugging Face's give, and what is refused."""

from __future__ import annotations

import re
import sys
import time

import pytest

from tests.generation.chat_templates.templates import CHATML, ENDLESS, REACHING, SLOW, TEMPLATES
from tinynn.generation.chat_templates import meter
from tinynn.generation.chat_templates.rendering import ChatTemplateError, render

CHAT = [
    {"role": "system", "content": "  Be brief.\n"},
    {"role": "user", "content": 'What is 2 < 3 & "why"?'},
    {"role": "assistant", "content": "<think>so</think>\n\nTrue 🙂"},
    {"role": "user", "content": "Ça va?"},
]
TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {"ü": [1, 2.5, None]}}}]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    import tokenizers

    engine = tokenizers.Tokenizer(tokenizers.models.BPE())
    engine.add_special_tokens(["<s>", "</s>"])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=engine, bos_token="<s>", eos_token="</s>"
    )


@pytest.mark.parametrize("prompt", [False, True])
@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_texts_are_those_of_transformers(template, prompt, theirs):
    for tools in (None, TOOLS):
        expected = theirs.apply_chat_template(
            CHAT,
            tools=tools,
            chat_template=template,
            tokenize=False,
            add_generation_prompt=prompt,
            enable_thinking=False,
        )
        found = render(template, CHAT, prompt, "<s>", "</s>", tools=tools, enable_thinking=False)
        assert found == expected


def test_a_template_writes_the_date():
    assert re.fullmatch(r"\d\d \w+ \d{4}", render("{{ strftime_now('%d %b %Y') }}", CHAT))


def test_a_template_can_refuse_a_conversation():
    with pytest.raises(
        ChatTemplateError, match=r"it refuses the conversation: roles\n? must alternate$"
    ):
        render("{{ raise_exception('roles\n must alternate') }}", CHAT)


@pytest.mark.parametrize(("template", "message"), REACHING.items())
def test_what_a_template_must_not_do_is_refused_by_one_line(template, message):
    with pytest.raises(ChatTemplateError, match=f"^the chat template cannot be used: .*{message}"):
        render(template, CHAT)


@pytest.mark.parametrize("template", ENDLESS.values(), ids=ENDLESS)
def test_a_template_that_uses_too_much_is_refused_by_one_line(template):
    start = time.thread_time()
    with pytest.raises(ChatTemplateError, match=r"^the chat template cannot be used: [^\n]+$"):
        render(template, CHAT)
    assert time.thread_time() - start < meter.MAX_SECONDS


def test_a_slow_template_is_refused(monkeypatch):
    monkeypatch.setattr(meter, "MAX_SECONDS", 0.2)
    with pytest.raises(ChatTemplateError, match=r"it takes more than 0\.2 seconds"):
        render(SLOW, CHAT)


def test_limits_grow_with_the_conversation():
    long = [{"role": "user", "content": "word " * 1_000_000}] * 3
    assert len(render(CHATML, long)) > 15_000_000
    many = [{"role": "user", "content": "word"}] * 5_000
    assert render(CHATML, many).count("<|im_start|>") == 5_001


@pytest.mark.parametrize(
    ("messages", "error", "message"),
    [
        ("hello", TypeError, "messages must be a list .* got str"),
        (CHAT[0], TypeError, "messages must be a list .* got dict"),
        ([], ValueError, "messages is empty"),
        ([CHAT[0], "hello"], TypeError, r"messages\[1\] must be .* got str"),
        ([{"content": "x"}], ValueError, r"messages\[0\]\['role'\] must be a str, got None"),
        ([{"role": "user"}], ValueError, r"messages\[0\]\['content'\] must be a str .* got None"),
        ([{"role": "user", "content": 3}], ValueError, r"messages\[0\]\['content'\] .* got 3"),
        ([{"role": "user", "content": ["x"]}], ValueError, r"messages\[0\].* list of parts"),
    ],
)
def test_wrong_messages_are_refused_by_name(messages, error, message):
    with pytest.raises(error, match=f"^chat: {message}"):
        render(CHATML, messages)


def test_content_may_be_parts_or_a_call():
    parts = [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
    assert render("{{ messages[0].content[0].text }}", parts) == "hi"
    call = [{"role": "assistant", "content": None, "tool_calls": [{"name": "f"}]}]
    assert render("{{ messages[0].tool_calls[0].name }}", call) == "f"


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match=r"needs the package jinja2.*'tinynn\[llm\]'"):
        render(CHATML, CHAT)
