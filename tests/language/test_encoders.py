from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from motet.errors import LanguageError
from motet.language import EndpointEncoder, OnnxEncoder, TextEncoder, TorchEncoder, build_encoder
from motet.schema import LanguageSettings

Vectors = NDArray[np.float32]
BACKENDS: tuple[Literal["onnx", "torch"], ...] = ("onnx", "torch")


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
    onnx_encoder: OnnxEncoder, sentences: list[str], reference: Vectors
) -> None:
    close = cosine(onnx_encoder.encode(sentences), reference)
    assert close.mean() >= 0.99
    assert close.min() >= 0.97


def test_order_is_that_of_the_texts(onnx_encoder: OnnxEncoder, sentences: list[str]) -> None:
    order = np.random.default_rng(0).permutation(len(sentences))
    straight = onnx_encoder.encode(sentences)
    shuffled = onnx_encoder.encode([sentences[i] for i in order])
    np.testing.assert_allclose(shuffled, straight[order], atol=1e-6)


def test_a_vector_does_not_depend_on_its_neighbours(onnx_encoder: OnnxEncoder, sentences: list[str]) -> None:
    together = onnx_encoder.encode(sentences)
    alone = np.concatenate([onnx_encoder.encode([text]) for text in sentences[:12]])
    np.testing.assert_allclose(alone, together[:12], atol=1e-6)


def test_empty_and_odd_texts(onnx_encoder: OnnxEncoder) -> None:
    texts = ["", "  \n", "\x00", "\ud800", "e\u0301" * 5000, "word " * 100_000, "a\x00b", "ab"]
    vectors = onnx_encoder.encode(texts)
    assert not vectors[:4].any()
    np.testing.assert_allclose(np.linalg.norm(vectors[4:], axis=1), 1, atol=1e-4)
    np.testing.assert_array_equal(vectors[6], vectors[7])
    assert onnx_encoder.encode([]).shape == (0, onnx_encoder.width)


def test_texts_are_cut_at_max_tokens(model_folder: Path, onnx_encoder: OnnxEncoder) -> None:
    short = OnnxEncoder(str(model_folder), max_tokens=8, prepared=onnx_encoder._prepared)
    # [CLS] and [SEP] are two of the eight.
    same = short.encode(["one two three four five six", "one two three four five six seven eight nine"])
    np.testing.assert_allclose(same[0], same[1], atol=1e-6)
    assert short.settings_key != onnx_encoder.settings_key


def test_progress_counts_every_text_once(onnx_encoder: OnnxEncoder, sentences: list[str]) -> None:
    seen: list[tuple[int, int]] = []
    onnx_encoder.encode(sentences, lambda what, done, total: seen.append((done, total)))
    assert seen[-1] == (len(sentences), len(sentences))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_a_damaged_prepared_model_is_made_anew(model_folder: Path, onnx_encoder: OnnxEncoder) -> None:
    before = onnx_encoder.encode(["a text"])
    (path,) = onnx_encoder._prepared.glob("*.onnx")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    again = OnnxEncoder(str(model_folder), max_tokens=256, prepared=onnx_encoder._prepared)
    np.testing.assert_allclose(again.encode(["a text"]), before, atol=1e-6)
    assert path.read_bytes() != bytes(content)
    assert not list(path.parent.glob(".partial-*"))


def test_the_settings_key_follows_the_weights_and_not_the_place(model_folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(model_folder, copy)
    assert OnnxEncoder(str(copy)).settings_key == OnnxEncoder(str(model_folder)).settings_key
    assert OnnxEncoder(str(copy)).settings_key != TorchEncoder(str(copy)).settings_key
    path = copy / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert OnnxEncoder(str(copy)).settings_key != OnnxEncoder(str(model_folder)).settings_key


def test_cls_pooling_without_normalising_is_followed(
    model_folder: Path, tmp_path: Path, sentences: list[str]
) -> None:
    copy = tmp_path / "cls"
    shutil.copytree(model_folder, copy)
    rewrite(copy / "1_Pooling" / "config.json", pooling_mode_mean_tokens=False, pooling_mode_cls_token=True)
    modules = json.loads((copy / "modules.json").read_text())
    (copy / "modules.json").write_text(json.dumps(modules[:2]))
    int8 = OnnxEncoder(str(copy), prepared=tmp_path).encode(sentences)
    exact = TorchEncoder(str(copy)).encode(sentences)
    assert cosine(int8, exact).mean() >= 0.97
    np.testing.assert_allclose(np.linalg.norm(int8, axis=1), np.linalg.norm(exact, axis=1), rtol=0.1)


def rewrite(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "mpnet"}, "model_type is 'mpnet', not 'bert'"),
        ({"hidden_act": "relu"}, "hidden_act is 'relu', not 'gelu'"),
    ],
)
def test_onnx_refuses_other_architectures(
    model_folder: Path, tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    copy = tmp_path / "other"
    shutil.copytree(model_folder, copy)
    rewrite(copy / "config.json", **changes)
    with pytest.raises(LanguageError, match=message) as caught:
        OnnxEncoder(str(copy))
    assert "language.backend: torch" in caught.value.cure


def test_weights_that_are_not_those_of_the_configuration(model_folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "more"
    shutil.copytree(model_folder, copy)
    rewrite(copy / "config.json", num_hidden_layers=7)
    with pytest.raises(LanguageError, match="not those of a BERT"):
        OnnxEncoder(str(copy), prepared=tmp_path).encode(["a text"])
    (copy / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(LanguageError, match="cannot be read"):
        OnnxEncoder(str(copy), prepared=tmp_path).encode(["a text"])
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
        ({}, OnnxEncoder),
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


def test_a_model_that_8_bits_would_spoil_is_refused(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("motet.language._onnx._CLOSE_ENOUGH", 0.9999)
    with pytest.raises(LanguageError, match=r"8 bits lose too much \(mean cosine 0\.9\d\d") as caught:
        OnnxEncoder(str(model_folder), prepared=tmp_path).encode(["a text"])
    assert caught.value.cure == "use language.backend: torch"
    assert not list(tmp_path.iterdir())


def test_callers_at_once_take_turns_and_need_no_more_memory(onnx_encoder: OnnxEncoder) -> None:
    texts = [f"{'a film about a night by the river ' * 8}{number}" for number in range(96)]
    process = psutil.Process()
    wanted = onnx_encoder.encode(texts)
    before = process.memory_info().rss
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(onnx_encoder.encode, [texts] * 8))
    assert process.memory_info().rss - before < 64 * 2**20
    for one in found:
        np.testing.assert_allclose(one, wanted, atol=1e-5)
