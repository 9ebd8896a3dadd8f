"""Calls that fit into a graph are launched with their neighbours, and all keep their order."""

import pytest

from tinynn.backend.cuda_graph import graph_of


class Recorded:
    """Calls that note their names; those in capitals can be part of no graph."""

    def __init__(self):
        self.made, self.launches = [], []

    def calls(self, names):
        return [lambda name=name: self.made.append(name) for name in names]

    def capture(self, calls):
        kept, before = tuple(calls), len(self.made)
        for call in kept:
            call()
        names = self.made[before:]
        del self.made[before:]  # a capture runs nothing
        if any(name.isupper() for name in names):
            return None

        def launch():
            self.launches.append("".join(names))
            self.made.extend(names)

        return launch


@pytest.mark.parametrize(
    ("names", "graphs"),
    [
        ("abcd", ["abcd"]),
        ("Aabc", ["abc"]),
        ("abCdef", ["ab", "def"]),
        ("abCDe", ["ab"]),
        ("abC", ["ab"]),
    ],
)
def test_neighbours_are_one_graph(names, graphs):
    recorded = Recorded()
    launch = graph_of(recorded.calls(names), recorded.capture)
    assert recorded.made == []
    for turn in (1, 2):
        launch()
        assert "".join(recorded.made) == names * turn
        assert recorded.launches == graphs * turn


@pytest.mark.parametrize("names", ["", "A", "a", "aBc"])
def test_without_neighbours_there_is_no_graph(names):
    recorded = Recorded()
    assert graph_of(recorded.calls(names), recorded.capture) is None


@pytest.mark.gpu
def test_on_a_gpu():
    import cupy

    x, total = cupy.arange(4.0), cupy.zeros(4)
    seen = []
    calls = [
        lambda: cupy.add(x, 1, out=total),
        lambda: cupy.multiply(total, 2, out=total),
        lambda: seen.append(float(total.sum())),  # takes memory, and waits
        lambda: cupy.add(total, x, out=total),
        lambda: cupy.add(total, x, out=total),
    ]
    launch = graph_of(calls)
    assert not total.get().any()
    seen.clear()
    launch()
    x[...] = 10
    launch()
    assert seen == [20, 88]
    assert total.tolist() == [42, 42, 42, 42]
