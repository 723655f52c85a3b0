from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from safetensors.torch import load_file

from motet.data import Dataset
from motet.errors import MotetError, SchemaError, TrainingError
from motet.schema import LanguageSettings
from motet.testing import check_text_encoder, toy_dataset
from motet.text.encode import CTranslate2Encoder, TorchEncoder, build_encoder
from motet.text.safety import clean_text
from motet.training.tuning import (
    AlignSettings,
    TextModel,
    Tuned,
    TunedWeights,
    align,
    co_liked,
    info_nce,
    item_texts,
    liked_in_training,
    liking_task,
    read_settings,
    split_items,
    text_auc,
)

SETTINGS = AlignSettings(
    steps=12, check_every=4, batch_size=12, patience=9, learning_rate=0.01, neighbours=5, max_tokens=16
)


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def losses_of(tuned: Tuned) -> list[float]:
    return [check["loss"] for check in tuned.report["history"]["checks"][1:]]


def test_the_loss_falls_and_the_result_is_an_encoder(world: Dataset, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"steps": 40, "check_every": 10})
    tuned = align(world, tmp_path / "out", settings)
    losses = losses_of(tuned)
    assert losses[-1] < losses[0]
    encoder = build_encoder(LanguageSettings(encoder=str(tuned.model), backend="torch"))
    check_text_encoder(encoder)
    report = json.loads((tmp_path / "out" / "tuning.json").read_text(encoding="utf-8"))
    assert report == json.loads(json.dumps(tuned.report))
    assert report["helped"] == (report["history"]["best"] > 0)
    assert not list(tmp_path.glob("*.checkpoint*"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["encoder", "tuning.json"]


def test_the_exported_folder_gives_the_vectors_of_the_adapter(tiny_encoder: Path, tmp_path: Path) -> None:
    model = TextModel(str(tiny_encoder), max_tokens=16)
    weights = TunedWeights(model.transformer, SETTINGS)
    with torch.no_grad():
        for name, p in weights.parameters.items():
            if "lora_B" in name:
                torch.nn.init.normal_(p, std=0.3)
    texts = ["night river", "", "a garden train  secret storm", "x"]
    before = TextModel(str(tiny_encoder), max_tokens=16).encode(texts)
    adapted = model.encode(texts)
    assert np.abs(adapted - before).max() > 0.05
    weights.merge()
    np.testing.assert_allclose(model.encode(texts), adapted, atol=2e-6)
    model.save(tmp_path / "encoder")
    loaded = TorchEncoder(str(tmp_path / "encoder"), max_tokens=16)
    np.testing.assert_allclose(loaded.encode(texts), adapted, atol=2e-6)
    assert not any("lora" in name for name in weights_of(tmp_path / "encoder"))


def test_the_8_bit_path_reads_the_exported_folder(world: Dataset, tmp_path: Path) -> None:
    tuned = align(world, tmp_path / "out", SETTINGS)
    texts = item_texts(world).texts
    quick = CTranslate2Encoder(str(tuned.model), max_tokens=16, prepared=tmp_path / "8-bit").encode(texts)
    exact = TorchEncoder(str(tuned.model), max_tokens=16).encode(texts)
    assert (quick * exact).sum(1)[1:].min() > 0.95


def test_only_the_updates_are_trained(world: Dataset, tiny_encoder: Path, tmp_path: Path) -> None:
    model = TextModel(str(tiny_encoder), max_tokens=16)
    frozen = {name: p.clone() for name, p in model.transformer.named_parameters()}
    weights = TunedWeights(model.transformer, SETTINGS)
    assert all("lora_" in name for name in weights.parameters)
    optimiser = torch.optim.SGD(weights.parameters.values(), lr=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        model.vectors(["night river", "storm"])[:, 0].sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    moved = [name for name, p in weights.parameters.items() if "lora_B" in name and p.abs().max() > 0]
    assert moved
    for name, p in model.transformer.named_parameters():
        if "lora_" not in name:
            assert torch.equal(p, frozen[name.replace("base_layer.", "")]), name
    # in the result, only linear weights differ from those of the encoder
    tuned = align(world, tmp_path / "out", SETTINGS)
    before, after = weights_of(tiny_encoder), weights_of(tuned.model)
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert all(".weight" in name and "LayerNorm" not in name and "embeddings" not in name for name in changed)
    assert bool(changed) == tuned.report["helped"]


def test_full_tuning_trains_every_weight_that_matters(tiny_encoder: Path) -> None:
    model = TextModel(str(tiny_encoder))
    weights = TunedWeights(model.transformer, AlignSettings(method="full"))
    names = {name for name, _ in model.transformer.named_parameters() if "pooler" not in name}
    assert set(weights.parameters) == names


def test_a_seed_repeats(world: Dataset, tmp_path: Path) -> None:
    one, two = (align(world, tmp_path / name, SETTINGS) for name in "ab")
    assert losses_of(one) == losses_of(two)
    assert all(torch.equal(t, weights_of(two.model)[name]) for name, t in weights_of(one.model).items())
    other = align(world, tmp_path / "c", SETTINGS.model_copy(update={"seed": 1}))
    assert losses_of(other) != losses_of(one)


class InterruptionError(Exception):
    pass


def test_a_resumed_run_ends_as_an_uninterrupted_one(world: Dataset, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"checkpoint_s": 1e-9})
    whole = align(world, tmp_path / "whole", settings)

    def stop(what: str, done: int, total: int) -> None:
        if what.startswith("tune: loss") and done == 7:
            raise InterruptionError

    with pytest.raises(InterruptionError):
        align(world, tmp_path / "out", settings, progress=stop)
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "out.checkpoint").is_dir()
    with pytest.raises(TrainingError, match="another run"):
        align(world, tmp_path / "out", settings.model_copy(update={"temperature": 0.2}), resume=True)
    steps: list[int] = []
    resumed = align(
        world, tmp_path / "out", settings, resume=True, progress=lambda what, done, total: steps.append(done)
    )
    assert min(steps) == 8
    assert resumed.report["history"]["checks"] == whole.report["history"]["checks"]
    assert all(torch.equal(t, weights_of(whole.model)[name]) for name, t in weights_of(resumed.model).items())
    assert not list(tmp_path.glob("*.checkpoint*"))


def test_likes_come_from_training_rows_only(world: Dataset) -> None:
    task = liking_task(world)
    liked = liked_in_training(world, task)
    rows = world.rows("train")
    expected = {
        (int(world.user_row[row]), int(world.item_row[row]))
        for row in rows
        if world.label(task, np.array([row]))[0] > 0
    }
    assert {(int(u), int(i)) for u, i in zip(*liked.nonzero(), strict=True)} == expected
    # turning every other label over changes nothing
    labels = world.labels.copy()
    outside = world.split != 0
    column = world.encoder.interaction_tasks.index(task)
    labels[outside, column] = 1 - np.nan_to_num(labels[outside, column])
    assert (liked_in_training(replace(world, labels=labels), task) != liked).nnz == 0


def test_of_each_person_the_latest_likes_are_looked_at(world: Dataset) -> None:
    task = liking_task(world)
    few, every = liked_in_training(world, task, 2), liked_in_training(world, task)
    assert few.sum(axis=1).max() == 2
    assert every.sum(axis=1).max() > 2
    user = int(np.asarray(every.sum(axis=1)).ravel().argmax())
    rows = world.rows("train")
    rows = rows[(world.user_row[rows] == user) & (world.label(task, rows) > 0)]
    latest = rows[np.argsort(world.time[rows], kind="stable")][-2:]
    assert set(few[[user]].indices.tolist()) == set(world.item_row[latest].tolist())


def test_items_kept_apart_are_in_no_pair(world: Dataset) -> None:
    liked = liked_in_training(world, liking_task(world))
    known, apart = split_items(liked, 0.3, np.random.default_rng(0))
    assert not set(known.tolist()) & set(apart.tolist())
    visible = liked.copy()
    visible.data[np.isin(visible.indices, apart)] = 0
    visible.eliminate_zeros()
    pairs = co_liked(visible, neighbours=5, shrinkage=1.0)
    drawn = [pairs.draw(10, np.random.default_rng(step)) for step in range(30)]
    assert not {int(i) for pair in drawn for side in pair for i in side} & set(apart.tolist())


def test_neighbours_by_hand() -> None:
    # items 0 and 1 are liked together by two people, 1 and 2 by one, 3 by nobody
    liked = sp.csr_array(np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0]], np.float32))
    pairs = co_liked(liked, neighbours=1, shrinkage=1.0)
    assert pairs.anchors.tolist() == [0, 1, 2]
    dense = pairs.neighbours.toarray()
    assert dense[0, 1] == pytest.approx(2 / np.sqrt(2 * 3) * 2 / 3)
    assert dense[1].argmax() == 0
    assert dense[2, 1] == pytest.approx(1 / np.sqrt(3) * 1 / 2)
    assert (dense > 0).sum() == 3
    anchors, others = pairs.draw(3, np.random.default_rng(0))
    assert {int(a): int(b) for a, b in zip(anchors, others, strict=True)} == {0: 1, 1: 0, 2: 1}
    related = pairs.related(np.array([0, 2]), np.array([1, 2]))
    assert related.tolist() == [[True, False], [True, True]]


def test_neighbours_are_drawn_by_weight() -> None:
    liked = sp.csr_array(np.array([[1, 1, 0]] * 9 + [[1, 0, 1]] * 3, np.float32))
    pairs = co_liked(liked, neighbours=2, shrinkage=0.0)
    row = pairs.neighbours.toarray()[0]
    rng = np.random.default_rng(0)
    drawn = [int(b) for _ in range(3000) for a, b in zip(*pairs.draw(3, rng), strict=True) if a == 0]
    assert np.mean(np.array(drawn) == 1) == pytest.approx(row[1] / row.sum(), abs=0.03)


def test_related_pairs_are_no_negatives() -> None:
    torch.manual_seed(0)
    first, second = torch.randn(4, 3), torch.randn(4, 3)
    none = torch.zeros(4, 4, dtype=torch.bool)
    related = none.clone()
    related[0, 1] = True
    a, b = torch.nn.functional.normalize(first), torch.nn.functional.normalize(second)
    s = (a @ b.T / 0.1).double()

    def by_hand(mask: torch.Tensor) -> float:
        total = 0.0
        for k in range(4):
            row = [s[k, j] for j in range(4) if j == k or not mask[k, j]]
            column = [s[j, k] for j in range(4) if j == k or not mask[j, k]]
            for line in (row, column):
                total += float(torch.logsumexp(torch.stack(line), 0) - s[k, k])
        return total / 8

    assert float(info_nce(first, second, none, 0.1)) == pytest.approx(by_hand(none), rel=1e-5)
    assert float(info_nce(first, second, related, 0.1)) == pytest.approx(by_hand(related), rel=1e-5)
    assert by_hand(related) < by_hand(none)


def test_text_auc_equals_counting_pairs() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(12, 4)).astype(np.float32)
    liked = sp.csr_array((rng.random((9, 12)) < 0.4).astype(np.float32))
    known, apart = np.arange(8), np.arange(8, 12)
    centred = vectors - vectors.mean(0)
    dense = liked.toarray()
    user_encoder = [u for u in range(9) if dense[u, known].any()]
    profile = {u: centred[known[dense[u, known] > 0]].mean(0) for u in user_encoder}
    near = {(u, i): profile[u] @ centred[i] / np.linalg.norm(profile[u]) for u in user_encoder for i in apart}
    found = []
    for i in apart:
        yes, no = [u for u in user_encoder if dense[u, i]], [u for u in user_encoder if not dense[u, i]]
        if yes and no:
            found.append(np.mean([near[u, i] > near[v, i] for u in yes for v in no]))
    assert text_auc(vectors, liked, known, apart) == pytest.approx(np.mean(found))
    assert text_auc(vectors, liked[:1] * 0, known, apart) == 0.5


def test_a_step_costs_what_its_texts_cost(world: Dataset, tiny_encoder: Path) -> None:
    model = TextModel(str(tiny_encoder), max_tokens=8)
    model.train(False)
    long = "river " * 50
    with torch.no_grad():
        cut = model.vectors([long, clean_text("river " * 6)])
    assert torch.allclose(cut[0], cut[1], atol=1e-6)
    assert not model.vectors([""]).any()


@pytest.mark.parametrize(
    ("world_parts", "options", "says"),
    [
        ({"users": False}, {}, "has no users"),
        ({}, {"task": "nxt"}, "did you mean 'next'"),
        ({}, {"feature": "stroy"}, "did you mean 'story'"),
    ],
)
def test_mistakes_are_told_before_any_work(
    world_parts: dict[str, bool], options: dict[str, str], says: str, tmp_path: Path
) -> None:
    data = toy_dataset(rows=120, sequences=(), **world_parts)  # type: ignore[arg-type]
    with pytest.raises(SchemaError, match=says):
        align(data, tmp_path / "out", AlignSettings(**options))
    assert not list(tmp_path.iterdir())


def test_other_peoples_files_are_not_touched(world: Dataset, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(TrainingError, match="no result of tuning"):
        align(world, tmp_path / "mine", SETTINGS, overwrite=True)
    align(world, tmp_path / "out", SETTINGS)
    with pytest.raises(TrainingError, match="--overwrite"):
        align(world, tmp_path / "out", SETTINGS)
    align(world, tmp_path / "out", SETTINGS, overwrite=True)


def test_settings_are_checked() -> None:
    assert read_settings("align", ["steps=3", "method=full"], seed=4, device=None).seed == 4
    for wrong, says in (
        ("stpes=3", "did you mean 'steps'"),
        ("steps=0", "greater than"),
        ("steps", "no form"),
    ):
        with pytest.raises(MotetError, match=says):
            read_settings("align", [wrong])


def test_ctrl_c_saves_the_step_it_falls_into(world: Dataset, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"checkpoint_s": 1e9})
    whole = align(world, tmp_path / "whole", settings)

    def stop(what: str, done: int, total: int) -> None:
        if what.startswith("tune: loss") and done == 5:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        align(world, tmp_path / "out", settings, progress=stop)
    steps: list[int] = []
    resumed = align(
        world, tmp_path / "out", settings, resume=True, progress=lambda what, done, total: steps.append(done)
    )
    assert min(steps) == 7  # the sixth was saved
    assert all(torch.equal(t, weights_of(whole.model)[name]) for name, t in weights_of(resumed.model).items())


def test_a_time_limit_keeps_the_best_so_far(world: Dataset, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"time_limit_s": 1e-6, "check_every": 100})
    tuned = align(world, tmp_path / "out", settings)
    assert tuned.report["history"]["stopped"] == "time limit"
    assert [check["step"] for check in tuned.report["history"]["checks"]] == [0, 1]
