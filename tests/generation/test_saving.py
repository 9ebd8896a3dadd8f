"""A saved model is the same one when it is loaded: scores, texts, tokens, conversations."""

from __future__ import annotations

import json
import mmap

import numpy as np
import pytest

import tinynn as tn
from tests.generation.conftest import METADATA, tiny
from tests.generation.texts import mixed_lines
from tests.generation.vocabularies import KEY, byte_level, sentence_pieces
from tinynn.generation import Tokenizer, generate, load, save
from tinynn.io import StoredTensor, read_gguf, write_gguf
from tinynn.models import Transformer, match_weights, stored_weights
from tinynn.models.families import GGUF
from tinynn.quant import FORMATS, QuantizedLinear, place_matrices, quantize

TOKENS = np.random.default_rng(0).integers(0, 35, (2, 20))
TEMPLATE = "{% for message in messages %}<|start|>{{ message.content }}{% endfor %}ü"


def scores(model):
    with tn.no_grad():
        return model(tn.tensor(TOKENS)).numpy()


def saved(model, folder, **options):
    """The model that comes back, having been compared with the one that was saved."""
    save(model, folder, **options)
    again = load(folder)
    assert again.config == model.config
    kinds = {name: repr(layer) for name, layer in model.named_modules()}
    assert {name: repr(layer) for name, layer in again.named_modules()} == kinds
    assert not again.training
    np.testing.assert_array_equal(scores(again), scores(model))
    return again


def reader_of(array):
    """What an array is a view of, at the end."""
    while getattr(array, "base", None) is not None:
        array = array.base
    return array.obj if isinstance(array, memoryview) else array


OPTIONS = [
    {"tied": True},
    {"qkv_bias": True, "rope_interleaved": True},
    {"gated": False, "mlp_bias": True, "norm": "layer", "learned_positions": True},
    {"num_heads": 3, "num_kv_heads": 3, "head_dim": 24, "qk_norm": True, "window": 7},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(options))
@pytest.mark.parametrize("format", FORMATS)
def test_quantized_models_come_back(format, options, tmp_path):
    again = saved(quantize(tiny(**options), format), tmp_path / "m")
    layers = [layer for layer in again.modules() if isinstance(layer, QuantizedLinear)]
    assert len(layers) >= 5
    for layer in layers:
        array = layer.matrix.weight if format in ("fp16", "bf16") else layer.matrix.blocks
        assert isinstance(reader_of(array), mmap.mmap)  # read from the file, not copied
    if options.get("tied"):
        assert again.lm_head.matrix is again.embed_tokens.matrix


LINEAR = {"rope_type": "linear", "factor": 2}
FACTORS = {"rope_type": "factors", "factors": [1 + pair / 7 for pair in range(16)]}


@pytest.mark.parametrize("options", [*OPTIONS, {"rope_scaling": LINEAR}, {"rope_scaling": FACTORS}])
def test_exact_models_come_back(options, tmp_path):
    saved(tiny(**options), tmp_path / "m")


def test_inputs_that_are_not_rounded_stay_so(tmp_path):
    again = saved(quantize(tiny(), "int8", activations="float32"), tmp_path / "m")
    assert again.layers[0].mlp.down_proj.activations == "float32"


def test_it_writes_and_talks_as_before(tmp_path):
    model = quantize(tiny(tied=True), "int4")
    again = saved(model, tmp_path / "m")
    for prompt in ("the cat", "there, there"):
        assert generate(again, prompt, 20).text == generate(model, prompt, 20).text
    messages = [{"role": "user", "content": "hello"}]
    assert again.tokenizer.chat(messages) == model.tokenizer.chat(messages)


@pytest.fixture
def mixed(tmp_path):
    """The blocks Q8_0, Q4_1 and Q4_0, halves and float32 of one GGUF file, as it has them."""
    gguf = pytest.importorskip("gguf")
    tensors = {}
    for name, array in stored_weights(tiny(), GGUF["llama"]).items():
        kind = "Q8_0" if "ffn_down" in name else "Q4_1" if "attn_k" in name else "Q4_0"
        if array.ndim == 2 and not any(part in name for part in ("embd", "attn_output")):
            raw = gguf.quants.quantize(array, gguf.GGMLQuantizationType[kind])
            tensors[name] = StoredTensor(name, kind, array.shape, raw.reshape(-1))
        else:
            tensors[name] = array.astype(np.float16) if "embd" in name else array
    write_gguf(tmp_path / "m.gguf", {"general.architecture": "llama"}, tensors)
    model = Transformer(tiny().config)
    file = read_gguf(tmp_path / "m.gguf")
    place_matrices(model, match_weights(model, file.tensors, GGUF["llama"], "m"), "stored")
    model.tokenizer = None
    return model.eval()


def test_what_a_file_stored_comes_back(mixed, tmp_path):
    saved(mixed, tmp_path / "m")
    settings = json.loads((tmp_path / "m" / "config.json").read_text())["quantization_config"]
    assert settings["quant_method"] == "tinynn"
    kinds = {"embed_tokens", "layers.0.self_attn.q_proj", "layers.0.mlp.gate_up_proj"}
    assert kinds <= settings["modules"].keys()
    assert "layers.0.self_attn.o_proj" not in settings["modules"]  # it is float32
    assert {"fp16", "int8-32", "int4", "int4-symmetric"} == set(settings["modules"].values())
    assert not (tmp_path / "m" / "tokenizer.json").exists()


# ---- the tokenizer


VOCABULARIES = {
    **{way: byte_level(way) for way in ("smollm", "gpt-2", "llama-bpe", "qwen2")},
    "more ends": byte_level("smollm", eot_token_id=1, padding_token_id=0, add_bos_token=True),
    "sentence pieces": sentence_pieces(),
    "no space before": sentence_pieces(add_space_prefix=False, add_eos_token=True),
}


@pytest.mark.parametrize("name", VOCABULARIES)
def test_tokenizers_of_gguf_files_give_the_same_ids(name, tmp_path):
    metadata = VOCABULARIES[name] | {"tokenizer.chat_template": TEMPLATE}
    model = quantize(tiny(vocab_size=1000), "int8")
    model.tokenizer = before = Tokenizer.from_gguf(metadata)
    save(model, tmp_path / "m")
    after = load(tmp_path / "m").tokenizer
    for line in [*mixed_lines(500, seed=5), "<|end|>a<s> b</s>", "🦀 crab 12345", " ", ""]:
        for parse_special in (True, False):
            ids = before.encode(line, parse_special=parse_special)
            assert after.encode(line, parse_special=parse_special) == ids
        assert after.decode(ids) == before.decode(ids)
        assert after.decode(ids, skip_special=True) == before.decode(ids, skip_special=True)
    assert (after.bos_id, after.eos_ids, after.pad_id) == (
        *(before.bos_id, before.eos_ids, before.pad_id),
    )
    messages = [{"role": "user", "content": "hello"}]
    assert after.chat(messages) == before.chat(messages)
    save(load(tmp_path / "m"), tmp_path / "n")  # from a folder, too
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "config.json"):
        assert (tmp_path / "n" / file).read_bytes() == (tmp_path / "m" / file).read_bytes()


def test_a_tokenizer_that_would_change_is_refused(tmp_path):
    model = tiny()
    tokens = [*METADATA[f"{KEY}tokens"], "the"]  # a second token of the same text
    kinds = [*METADATA[f"{KEY}token_type"], 1]
    model.tokenizer = Tokenizer.from_gguf(
        METADATA | {f"{KEY}tokens": tokens, f"{KEY}token_type": kinds}
    )
    with pytest.raises(ValueError, match=r"cannot be written .*: the texts of its tokens would"):
        save(model, tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


# ---- other programs


def test_transformers_reads_an_exact_model_and_refuses_others(tmp_path):
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    model = saved(tiny(tied=True), tmp_path / "exact")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "exact")
    with torch.no_grad():
        found = theirs(torch.from_numpy(TOKENS)).logits.numpy()
    np.testing.assert_allclose(found, scores(model), rtol=1e-3, atol=1e-3)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "exact")
    assert tokenizer("the there").input_ids == model.tokenizer.encode("the there")
    save(quantize(model, "int8"), tmp_path / "quantized")
    with pytest.raises(ValueError, match="tinynn"):
        transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "quantized")


# ---- what is refused


@pytest.mark.parametrize("format", ["int8", "fp16"])
def test_a_quantized_model_is_not_rounded_again(format, tmp_path):
    save(quantize(tiny(), "int4"), tmp_path / "m")
    with pytest.raises(ValueError, match="m is quantized already, and rounding it again to"):
        load(tmp_path / "m", format)
    np.testing.assert_array_equal(
        scores(load(tmp_path / "m", "stored")), scores(load(tmp_path / "m"))
    )


def test_an_exact_folder_is_rounded_as_its_model(tmp_path):
    for name, options in (("a", {}), ("b", {"rope_interleaved": True})):
        save(tiny(**options), tmp_path / name)
        expected = scores(quantize(tiny(**options), "int8"))
        np.testing.assert_array_equal(scores(load(tmp_path / name, "int8")), expected)


def test_what_is_there_is_replaced_only_if_told(tmp_path):
    folder = tmp_path / "m"
    save(quantize(tiny(), "int8"), folder)
    before = (folder / "model.safetensors").read_bytes()
    with pytest.raises(FileExistsError):
        save(quantize(tiny(), "int4"), folder)
    assert (folder / "model.safetensors").read_bytes() == before
    kept = load(folder)
    saved(quantize(tiny(), "int4"), folder, overwrite=True)
    np.testing.assert_array_equal(scores(kept), scores(quantize(tiny(), "int8")))
    saved(load(folder), folder, overwrite=True)  # the model's own folder
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


@pytest.mark.parametrize(
    ("file", "says"), [("run.json", "it holds run.json"), (None, "it has no con")]
)
def test_other_folders_are_not_overwritten(file, says, tmp_path):
    folder = tmp_path / "m"
    if file:
        save(tiny(), folder)
        (folder / file).write_text("{}")
    else:
        folder.mkdir()
    before = sorted(folder.iterdir())
    with pytest.raises(ValueError, match=f"m is not the folder of a saved model .{says}"):
        save(tiny(), folder, overwrite=True)
    assert sorted(folder.iterdir()) == before


def test_other_models_are_refused(tmp_path):
    with pytest.raises(TypeError, match="expected a Transformer, got Linear"):
        save(tn.nn.Linear(2, 2), tmp_path / "m")
    with pytest.raises(ValueError, match=r"embed_tokens.weight is float16, expected float32"):
        save(tiny().to(tn.float16), tmp_path / "m")
    mixed = quantize(tiny(), "int8")
    mixed.layers[0].mlp.down_proj.activations = "float32"
    with pytest.raises(ValueError, match="activations are int8 in some layers and float32"):
        save(mixed, tmp_path / "m")
    assert list(tmp_path.iterdir()) == []
