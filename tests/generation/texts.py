"""Texts of all sorts, the same in every run."""

from __future__ import annotations

import random

# Written out, because each has tripped a tokenizer somewhere.
SNIPPETS = [
    "", " ", "  ", "\n", "\n\n", " \n", "\n ", "\t\tx", "a  b", "a   b", " a", "a ", "  a", "   ",
    "\r\n\r\n", "x \r\n y", "don't", "I'LL we've 'S", "it's'll", "''''", "1", "12", "123",
    "1234567", "3.14159", "1,000,000", "v2.0.1-rc3", "0x1F", "²³½Ⅷ", "٣٤", "x1y22z333", " 42",
    "  42", "a1 b2", "def f(x):\n    return x**2  # done\n", "for (i=0;i<n;++i){a[i]+=b;}",
    "<p class=\"x\">&amp;</p>", "SELECT * FROM t WHERE a<>'b';", "a_b-c/d\\e|f", "$5+€7=£12",
    "^~`<=>", "¿qué?", "«ça»", "naïve", "Straße", "ﬁ", "Ελληνικά", "русский текст", "עברית",
    "العربية", "हिन्दी", "ไทย", "日本語です。", "汉字、标点。", "한국어", "한글",
    "🙂", "👍🏽", "👩‍👩‍👧", "🇫🇷🇩🇪",
    "e\u0301", "\u00e9", "A\u030a", "\u00a0nbsp\u00a0", "\u3000全角", "\u2028line", "\u200bzero",
    "\ufeffbom", "\x00\x01\x02", "\x1b[0m", "\x7f\x85", "a\x0bb\x0cc", "\ufffd", "<|im_start",
    "|>", "<s>", "▁mark", "Ġletter", "...", "!!!???", "https://example.org/a?b=c&d=%20",
    "user@example.org", "camelCaseAndALLCAPS", "x" * 70, "  " * 20,
]  # fmt: skip

_ALPHABETS = [
    "abcdefghijklmnopqrstuvwxyz", "etaoin shrdlu", "0123456789", " \n\t", "ABC'dlmrstv",
    "(){}[]<>=+-*/;:.,_", "äöüßéèñçø", "αβγδжщюя", "日本語汉字한국", "🙂👍🎉🚀",
    "\u200d\u0301\u00a0\u3000", "²½Ⅷ٣",
]  # fmt: skip


def mixed_lines(count: int, seed: int = 0) -> list[str]:
    """The snippets, then lines drawn from them, from words and from alphabets."""
    draw = random.Random(seed)
    words = [snippet for snippet in SNIPPETS if snippet]

    def part() -> str:
        if draw.random() < 0.4:
            return draw.choice(words)
        alphabet = draw.choice(_ALPHABETS)
        return "".join(draw.choices(alphabet, k=draw.randint(1, 9)))

    def line() -> str:
        return draw.choice(["", " ", " "]).join(part() for _ in range(draw.randint(1, 8)))

    return SNIPPETS + [line() for _ in range(count - len(SNIPPETS))]
