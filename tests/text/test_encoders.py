from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil
import pytest
import torch
from numpy.typing import NDArray

from motet.data import changed_text
from motet.errors import LanguageError
from motet.schema import LanguageSettings, Schema, TextAugmentSettings
from motet.text.encode import CTranslate2Encoder, EndpointEncoder, TextEncoder, TorchEncoder, build_encoder

Vectors = NDArray[np.float32]
BACKENDS: tuple[Literal["ctranslate2", "torch"], ...] = ("ctranslate2", "torch")


@pytest.fixture(scope="module")
def reference(model_folder: Path, sentences: list[str]) -> Vectors:
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 (slow to import)

    model = SentenceTransformer(str(model_folder), device="cpu")
    return np.asarray(model.encode(sentences), np.float32)


def cosine(one: Vectors, two: Vectors) -> Vectors:
    product: Vectors = (one * two).sum(1) / (np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1))
    return product


def test_torch_is_what_sentence_transformers_gives(
    model_folder: Path, sentences: list[str], reference: Vectors
) -> None:
    encoder = TorchEncoder(str(model_folder), max_tokens=256, batch_size=8)
    np.testing.assert_allclose(encoder.encode(sentences), reference, atol=1e-5)
    assert encoder.width == reference.shape[1]


def test_int8_is_close_to_sentence_transformers(
    fast_encoder: CTranslate2Encoder, sentences: list[str], reference: Vectors
) -> None:
    close = cosine(fast_encoder.encode(sentences), reference)
    assert close.mean() >= 0.99
    assert close.min() >= 0.97


def test_masked_words_are_strange_to_the_packaged_encoder(
    fast_encoder: CTranslate2Encoder, sentences: list[str]
) -> None:
    """What the guide says of ``augment: {mask: …}``: all texts move far, and the same way; not where words are left out."""
    texts = [text for text in sentences if len(text.split()) >= 12]
    assert len(texts) >= 8
    before = fast_encoder.encode(texts)
    close, common = {}, {}
    for name in ("mask", "drop"):
        settings = TextAugmentSettings.model_validate({name: 0.15})
        after = fast_encoder.encode([changed_text(text, settings, 0) for text in texts])
        moved = after - before
        close[name] = float(cosine(before, after).mean())
        common[name] = float((moved.mean(0) ** 2).sum() / (moved**2).sum(1).mean())
    assert close["mask"] < close["drop"] - 0.2
    assert common["mask"] > 2 * common["drop"]


def test_order_is_that_of_the_texts(fast_encoder: CTranslate2Encoder, sentences: list[str]) -> None:
    order = np.random.default_rng(0).permutation(len(sentences))
    straight = fast_encoder.encode(sentences)
    shuffled = fast_encoder.encode([sentences[i] for i in order])
    np.testing.assert_allclose(shuffled, straight[order], atol=1e-6)


def test_a_vector_does_not_depend_on_its_neighbours(
    fast_encoder: CTranslate2Encoder, sentences: list[str]
) -> None:
    together = fast_encoder.encode(sentences)
    alone = np.concatenate([fast_encoder.encode([text]) for text in sentences[:12]])
    np.testing.assert_allclose(alone, together[:12], atol=1e-6)


def test_empty_and_odd_texts(fast_encoder: CTranslate2Encoder) -> None:
    texts = ["", "  \n", "\x00", "\ud800", "e\u0301" * 5000, "word " * 100_000, "a\x00b", "ab"]
    vectors = fast_encoder.encode(texts)
    assert not vectors[:4].any()
    np.testing.assert_allclose(np.linalg.norm(vectors[4:], axis=1), 1, atol=1e-4)
    np.testing.assert_array_equal(vectors[6], vectors[7])
    assert fast_encoder.encode([]).shape == (0, fast_encoder.width)


def test_texts_are_cut_at_max_tokens(model_folder: Path, fast_encoder: CTranslate2Encoder) -> None:
    short = CTranslate2Encoder(str(model_folder), max_tokens=8, prepared=fast_encoder._prepared)
    # [CLS] and [SEP] are two of the eight.
    same = short.encode(["one two three four five six", "one two three four five six seven eight nine"])
    np.testing.assert_allclose(same[0], same[1], atol=1e-6)
    assert short.settings_key != fast_encoder.settings_key


def test_progress_counts_every_text_once(fast_encoder: CTranslate2Encoder, sentences: list[str]) -> None:
    seen: list[tuple[int, int]] = []
    fast_encoder.encode(sentences, lambda what, done, total: seen.append((done, total)))
    assert seen[-1] == (len(sentences), len(sentences))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_a_damaged_prepared_model_is_made_anew(model_folder: Path, fast_encoder: CTranslate2Encoder) -> None:
    before = fast_encoder.encode(["a text"])
    (path,) = fast_encoder._prepared.glob("*/model.bin")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    again = CTranslate2Encoder(str(model_folder), max_tokens=256, prepared=fast_encoder._prepared)
    np.testing.assert_allclose(again.encode(["a text"]), before, atol=1e-6)
    assert path.read_bytes() != bytes(content)
    assert len(list(path.parent.parent.iterdir())) == 1


def test_the_settings_key_follows_the_weights_and_not_the_place(model_folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(model_folder, copy)
    assert CTranslate2Encoder(str(copy)).settings_key == CTranslate2Encoder(str(model_folder)).settings_key
    assert CTranslate2Encoder(str(copy)).settings_key != TorchEncoder(str(copy)).settings_key
    path = copy / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert CTranslate2Encoder(str(copy)).settings_key != CTranslate2Encoder(str(model_folder)).settings_key


def test_cls_pooling_without_normalising_is_followed(
    model_folder: Path, tmp_path: Path, sentences: list[str]
) -> None:
    copy = tmp_path / "cls"
    shutil.copytree(model_folder, copy)
    rewrite(copy / "1_Pooling" / "config.json", pooling_mode_mean_tokens=False, pooling_mode_cls_token=True)
    modules = json.loads((copy / "modules.json").read_text())
    (copy / "modules.json").write_text(json.dumps(modules[:2]))
    int8 = CTranslate2Encoder(str(copy), prepared=tmp_path).encode(sentences)
    exact = TorchEncoder(str(copy)).encode(sentences)
    assert cosine(int8, exact).mean() >= 0.97
    np.testing.assert_allclose(np.linalg.norm(int8, axis=1), np.linalg.norm(exact, axis=1), rtol=0.1)


def rewrite(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "mpnet"}, "its model_type is 'mpnet'"),
        ({"hidden_act": "tanh"}, "its activation is 'tanh'"),
    ],
)
def test_ctranslate2_refuses_other_architectures(
    model_folder: Path, tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    copy = tmp_path / "other"
    shutil.copytree(model_folder, copy)
    rewrite(copy / "config.json", **changes)
    with pytest.raises(LanguageError, match=message) as caught:
        CTranslate2Encoder(str(copy))
    assert "language.backend: torch" in caught.value.cure


def test_weights_that_are_not_those_of_the_configuration(model_folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "more"
    shutil.copytree(model_folder, copy)
    rewrite(copy / "config.json", num_hidden_layers=7)
    with pytest.raises(LanguageError, match=r"could not be converted|lose too much"):
        CTranslate2Encoder(str(copy), prepared=tmp_path).encode(["a text"])
    (copy / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(LanguageError, match="could not be converted"):
        CTranslate2Encoder(str(copy), prepared=tmp_path).encode(["a text"])
    with pytest.raises(LanguageError, match="could not be loaded"):
        TorchEncoder(str(copy)).encode(["a text"])


def test_pickled_weights_are_refused(model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((model_folder / "config.json").read_text())
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(LanguageError, match="no weights in safetensors format"):
        TorchEncoder(str(tmp_path))


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        ("./nowhere", "there is no folder './nowhere'"),
        ("/nowhere/at/all", "there is no folder '/nowhere/at/all'"),
        ("a b c", "neither a folder nor a hub id"),
        (
            "all-MiniLM-L6-v3",
            r"could not be loaded from the hub.*did you mean the packaged 'all-MiniLM-L6-v2'",
        ),
    ],
)
def test_a_model_that_cannot_be_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, encoder: str, message: str
) -> None:
    # The hub client reads its switch when it is imported.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(LanguageError, match=message):
        build_encoder(LanguageSettings(encoder=encoder))


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(LanguageError, match="it has no readable config"):
        build_encoder(LanguageSettings(encoder=str(tmp_path)))


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, CTranslate2Encoder),
        ({"backend": "torch"}, TorchEncoder),
        ({"backend": "endpoint", "endpoint": "http://localhost:1/v1"}, EndpointEncoder),
    ],
)
def test_the_backend_decides_the_encoder(settings: dict[str, Any], kind: type[TextEncoder]) -> None:
    encoder = build_encoder(LanguageSettings(**settings))
    assert isinstance(encoder, kind)
    assert encoder.name == "all-MiniLM-L6-v2"


def test_settings_change_the_key() -> None:
    keys = [
        build_encoder(LanguageSettings(backend=backend, max_tokens=tokens)).settings_key
        for backend in BACKENDS
        for tokens in (64, 128)
    ]
    assert len(set(keys)) == 4


def test_a_model_that_8_bits_would_spoil_is_refused(model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(LanguageError, match=r"8 bits lose too much \(mean cosine 0\.9\d\d") as caught:
        CTranslate2Encoder(str(model_folder), prepared=tmp_path, least_cosine=0.99999).encode(["a text"])
    assert caught.value.cure == "use language.backend: torch"
    assert not list(tmp_path.iterdir())


@pytest.mark.soak
def test_callers_at_once_take_turns_and_need_no_more_memory(fast_encoder: CTranslate2Encoder) -> None:
    texts = [f"{'a film about a night by the river ' * 8}{number}" for number in range(96)]
    process = psutil.Process()
    wanted = fast_encoder.encode(texts)
    before = process.memory_info().rss
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(fast_encoder.encode, [texts] * 8))
    assert process.memory_info().rss - before < 64 * 2**20
    for one in found:
        np.testing.assert_allclose(one, wanted, atol=1e-5)


SMALL: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 66,
}


def small_model(kind: str, folder: Path) -> None:
    """Random weights of an architecture, with a byte-level tokenizer that learned a few sentences."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers  # noqa: PLC0415
    from transformers import (  # noqa: PLC0415 (slow to import)
        DistilBertConfig,
        DistilBertModel,
        MPNetConfig,
        MPNetModel,
        PreTrainedTokenizerFast,
        RobertaConfig,
        RobertaModel,
        XLMRobertaConfig,
        XLMRobertaModel,
    )

    torch.manual_seed(0)
    marks = {"cls_token": "<s>", "sep_token": "</s>"}
    marks |= {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(dict.fromkeys(marks.values())),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["a night by the river", "a film about the night"] * 20, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **marks).save_pretrained(folder)
    words = tokenizer.get_vocab_size()
    ids = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
    model: Any
    if kind == "distilbert":
        model = DistilBertModel(
            DistilBertConfig(vocab_size=words, dim=64, hidden_dim=128, n_layers=2, n_heads=4)
        )
    elif kind == "roberta":
        model = RobertaModel(RobertaConfig(**SMALL, **ids, vocab_size=words, type_vocab_size=1))
    elif kind == "xlm-roberta":
        model = XLMRobertaModel(XLMRobertaConfig(**SMALL, **ids, vocab_size=words, type_vocab_size=1))
    else:
        model = MPNetModel(MPNetConfig(**SMALL, vocab_size=words))
    model.save_pretrained(folder)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("kind", ["distilbert", "roberta", "xlm-roberta"])
def test_other_architectures_that_ctranslate2_runs(kind: str, tmp_path: Path) -> None:
    small_model(kind, tmp_path / kind)
    texts = ["a night by the river", "a film", "x" * 500]
    fast = CTranslate2Encoder(str(tmp_path / kind), prepared=tmp_path / "8-bit").encode(texts)
    exact = TorchEncoder(str(tmp_path / kind)).encode(texts)
    assert cosine(fast, exact).min() > 0.98


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_what_ctranslate2_cannot_run_goes_through_torch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    small_model("mpnet", tmp_path / "mpnet")
    encoder = build_encoder(LanguageSettings(encoder=str(tmp_path / "mpnet")))
    assert isinstance(encoder, TorchEncoder)
    assert "its model_type is 'mpnet', so PyTorch encodes" in caplog.text
    assert encoder.encode(["a night by the river"]).shape == (1, 64)


def test_the_old_name_of_the_backend_works_with_a_warning(clicks: Callable[..., dict[str, Any]]) -> None:
    with pytest.warns(FutureWarning, match="write language.backend: ctranslate2"):
        schema = Schema.parse(clicks(), ["language.backend=onnx"])
    assert isinstance(build_encoder(schema.language), CTranslate2Encoder)
    assert "onnx" not in schema.to_yaml()
