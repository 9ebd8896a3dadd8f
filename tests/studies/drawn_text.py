"""A text of drawn sentences, for studies that read one."""

import numpy as np

SOURCE = """
the old king and his two sons rode out at dawn to see the sea but no ship had come for many days
so they sat down by a fire and spoke of war love gold bread rain and a lost crown
"""


def drawn_text(sentences, seed=0):
    """Lines of four to nine words."""
    random = np.random.default_rng(seed)
    lines = []
    for _ in range(sentences):
        words = random.choice(SOURCE.split(), random.integers(4, 10))
        lines.append(f"{' '.join(words).capitalize()}.")
    return "\n".join(lines) + "\n"


def write_text(folder, sentences=1500):
    """The path of a file with such a text."""
    path = folder / "sentences.txt"
    path.write_text(drawn_text(sentences))
    return path
