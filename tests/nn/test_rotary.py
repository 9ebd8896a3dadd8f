"""RotaryEmbedding: angles and scalings by formulas written out, and what they are for."""

import cmath
import copy
import math

import numpy as np
import pytest

import tinynn as tn
from tests.arrays import host
from tinynn import nn

ORDERS = pytest.mark.parametrize("interleaved", [False, True], ids=["halves", "interleaved"])
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def vectors(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def turned(x, positions, frequencies, interleaved):
    """Each pair as a complex number, times e^(i angle); x is [L, D]."""
    result, pairs = x.copy(), len(frequencies)
    for row, position in enumerate(positions):
        for i, frequency in enumerate(frequencies):
            one, other = (2 * i, 2 * i + 1) if interleaved else (i, pairs + i)
            number = complex(x[row, one], x[row, other]) * cmath.exp(1j * position * frequency)
            result[row, one], result[row, other] = number.real, number.imag
    return result


@ORDERS
@pytest.mark.parametrize("rotary_dim", [None, 6])
def test_pairs_turn_in_proportion_to_the_position(rotary_dim, interleaved, device):
    rotary = nn.RotaryEmbedding(10, 500.0, 40, interleaved=interleaved, rotary_dim=rotary_dim)
    size = rotary_dim or 10
    frequencies = [500.0 ** (-2 * i / size) for i in range(size // 2)]
    x = vectors(40, 10).astype(np.float32)
    expected = turned(x.astype(float), range(40), frequencies, interleaved)
    result = rotary(tn.tensor(x, device=device))
    assert result.device.type == device
    np.testing.assert_allclose(host(result), expected, rtol=1e-5, atol=1e-5)
    places = [39, 0, 7]
    some = rotary(tn.tensor(x[:3], device=device), tn.tensor(places, device=device))
    expected = turned(x[:3].astype(float), places, frequencies, interleaved)
    np.testing.assert_allclose(host(some), expected, rtol=1e-5, atol=1e-5)


def test_positions_of_each_sample_and_of_one_vector():
    rotary = nn.RotaryEmbedding(8, max_positions=20)
    x = tn.tensor(vectors(2, 3, 4, 8).astype(np.float32))
    places = np.array([[0, 1, 2, 3], [5, 6, 7, 8]])
    result = host(rotary(x, places[:, None]))
    for sample in range(2):
        alone = rotary(x[sample], tn.tensor(places[sample]))
        np.testing.assert_array_equal(result[sample], host(alone))
    np.testing.assert_array_equal(host(rotary(x[0, 0, 0])), host(x[0, 0, 0]))
    np.testing.assert_allclose(host(rotary(x[1, 1, 1], 6)), host(rotary(x[1], places[1]))[1, 1])


@ORDERS
def test_products_depend_on_the_distance_alone(interleaved):
    rotary = nn.RotaryEmbedding(64, max_positions=3000, interleaved=interleaved)
    q, k = (tn.tensor(vectors(64, seed=seed)) for seed in (1, 2))
    for distance in (0, 1, 17, 900):
        products = [
            float(tn.sum(rotary(q, start + distance) * rotary(k, start)))
            for start in (0, 1, 500, 2000)
        ]
        # The tables are of float32: an angle of 2900 turns is known to 6e-8 in its cosine.
        np.testing.assert_allclose(products, products[0], atol=64 * 4 * 6e-8)
    assert abs(float(tn.sum(rotary(q, 7) * rotary(k, 0))) - products[0]) > 0.1


def llama3_frequency(frequency):
    """One frequency of Llama 3.1, by the length of its wave."""
    wave, low, high = 2 * math.pi / frequency, 8192 / 1.0, 8192 / 4.0
    if wave > low:
        return frequency / 8.0
    if wave < high:
        return frequency
    smooth = (8192 / wave - 1.0) / (4.0 - 1.0)
    return (1 - smooth) * frequency / 8.0 + smooth * frequency


PLAIN = [500000.0 ** (-2 * i / 128) for i in range(64)]
GROWN = 500000.0 * 4.0 ** (128 / 126)
LONGER = 500000.0 * (4.0 * 2048 / 1024 - 3.0) ** (128 / 126)
FORMULAS = [
    (None, PLAIN),
    ({"rope_type": "default"}, PLAIN),
    ({"rope_type": "linear", "factor": 4}, [f / 4 for f in PLAIN]),
    ({"type": "linear", "factor": 2.5}, [f / 2.5 for f in PLAIN]),
    ({"rope_type": "ntk", "factor": 4.0}, [GROWN ** (-2 * i / 128) for i in range(64)]),
    (
        {"rope_type": "dynamic", "factor": 4.0, "original_max_position_embeddings": 1024},
        [LONGER ** (-2 * i / 128) for i in range(64)],
    ),
    ({"rope_type": "dynamic", "factor": 4.0, "original_max_position_embeddings": 4096}, PLAIN),
    (LLAMA3, [llama3_frequency(f) for f in PLAIN]),
    (
        {"rope_type": "factors", "factors": [1.0 + i / 10 for i in range(64)]},
        [f / (1.0 + i / 10) for i, f in enumerate(PLAIN)],
    ),
]


@pytest.mark.parametrize(("scaling", "expected"), FORMULAS)
def test_a_scaling_is_its_formula(scaling, expected):
    rotary = nn.RotaryEmbedding(128, 500000.0, 2048, scaling)
    np.testing.assert_allclose(rotary.frequencies, expected, rtol=1e-12)
    cos, sin = rotary.tables(2047)
    np.testing.assert_array_equal(host(cos), np.cos(2047 * rotary.frequencies).astype(np.float32))
    np.testing.assert_array_equal(host(sin), np.sin(2047 * rotary.frequencies).astype(np.float32))


def test_ntk_slows_the_slowest_pair_by_the_factor():
    rotary = nn.RotaryEmbedding(64, scaling={"rope_type": "ntk", "factor": 8.0})
    plain = nn.RotaryEmbedding(64)
    assert rotary.frequencies[0] == plain.frequencies[0] == 1.0
    np.testing.assert_allclose(rotary.frequencies[-1] * 8, plain.frequencies[-1], rtol=1e-12)


def test_llama3_leaves_fast_pairs_and_slows_slow_ones():
    factors = nn.RotaryEmbedding(128, 500000.0, scaling=LLAMA3).frequencies / np.array(PLAIN)
    assert set(np.round(factors[[0, 1, -2, -1]], 12)) == {1.0, 0.125}
    assert (np.diff(factors) < 1e-15).all()


@pytest.mark.parametrize(
    ("scaling", "says"),
    [
        ({"factor": 2.0}, "rope_type None; known are default, linear, ntk, dynamic, llama3, fac"),
        ({"rope_type": "yarn", "factor": 2.0}, "rope_type 'yarn'"),
        ({"rope_type": "linear"}, "'linear' lacks factor"),
        ({"rope_type": "linear", "factor": 2.0, "beta": 1}, "'linear' does not know beta"),
        ({"rope_type": "ntk", "factor": 0.5}, "'ntk' has factor 0.5, expected 1 or more"),
        ({"rope_type": "ntk", "factor": "2"}, "factor '2', expected a number above 0"),
        ({"rope_type": "ntk", "factor": float("nan")}, "factor nan"),
        ({"rope_type": "dynamic", "factor": 2.0}, "lacks original_max_position_embeddings"),
        ({"rope_type": "factors"}, "'factors' lacks factors"),
        ({"rope_type": "factors", "factors": 2.0}, "factors 2.0, expected a list of 32 numbers"),
        ({"rope_type": "factors", "factors": [1.0] * 31}, "expected a list of 32 numbers"),
        ({"rope_type": "factors", "factors": [0.0] * 32}, "factors 0.0, expected a number above 0"),
        (LLAMA3 | {"low_freq_factor": 4.0}, "low_freq_factor 4.0, which must be below"),
        (LLAMA3 | {"original_max_position_embeddings": 0}, "embeddings 0, expected a number"),
    ],
)
def test_a_scaling_that_is_not_complete_is_refused_by_name(scaling, says):
    with pytest.raises(ValueError, match=f"^RotaryEmbedding: .*{says}"):
        nn.RotaryEmbedding(64, scaling=scaling)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"head_dim": 7}, "even and at most head_dim; got 7 of 7"),
        ({"head_dim": 8, "rotary_dim": 10}, "got 10 of 8"),
        ({"head_dim": 8, "rotary_dim": 0}, "got 0 of 8"),
        ({"head_dim": 8, "base": 0.0}, "base and max_positions must be positive, got 0.0"),
        ({"head_dim": 8, "max_positions": 0}, "must be positive, got 10000.0 and 0"),
        ({"head_dim": 2, "scaling": {"rope_type": "ntk", "factor": 2.0}}, "needs two pairs"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(options, says):
    with pytest.raises(ValueError, match=says):
        nn.RotaryEmbedding(**options)


def test_positions_beyond_the_tables_are_refused():
    rotary = nn.RotaryEmbedding(8, max_positions=16)
    with pytest.raises(IndexError, match="17 positions are more than max_positions, 16"):
        rotary(tn.zeros(17, 8))
    with pytest.raises(IndexError, match="position 16 is not one of 0 to max_positions - 1, 15"):
        rotary(tn.zeros(2, 8), tn.tensor([3, 16]))
    with pytest.raises(IndexError, match="position -1 is not"):
        rotary.tables([-1])
    with pytest.raises(RuntimeError, match="positions must be integers, got float32"):
        rotary.tables(1.0)
    with pytest.raises(RuntimeError, match=r"input must be .*L, 8.*\(2, 6\)"):
        rotary(tn.zeros(2, 6))


def test_it_has_no_state_and_stays_in_float32():
    rotary = nn.RotaryEmbedding(8, max_positions=16).to(tn.float16)
    assert list(rotary.state_dict()) == []
    assert rotary.tables([1])[0].dtype == tn.float32
    x = tn.tensor(vectors(4, 8), dtype=tn.float16)
    assert rotary(x).dtype == tn.float16
    np.testing.assert_array_equal(host(copy.deepcopy(rotary)(x)), host(rotary(x)))


def test_it_is_compiled():
    rotary = nn.RotaryEmbedding(8, max_positions=16)
    step = tn.compile(lambda x, places: (rotary(x), rotary(x, places)))
    for seed in range(3):
        x = tn.tensor(vectors(4, 8, seed=seed))
        places = tn.tensor(np.arange(4) + seed)
        for ours, theirs in zip(step(x, places), (rotary(x), rotary(x, places)), strict=True):
            np.testing.assert_array_equal(host(ours), host(theirs))
    with pytest.raises(IndexError, match="position 16"):
        step(x, tn.tensor([13, 14, 15, 16]))


def test_what_it_looks_like():
    rotary = nn.RotaryEmbedding(8, scaling={"type": "linear", "factor": 2.0}, rotary_dim=4)
    assert repr(rotary).startswith(
        "RotaryEmbedding(8, base=10000.0, max_positions=2048, "
        "scaling={'rope_type': 'linear', 'factor': 2.0}, interleaved=False, rotary_dim=4)"
    )
