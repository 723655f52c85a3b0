"""``motet experiments``: from a plan to a result, on the store of a service."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from motet.cli import main
from motet.service.store import Event, ExposedUser, Shown, ShownItem, Store

FILE = """\
key: varied-lists
hypothesis: more varied lists find more likes
variants:
  - {name: as-it-is}
  - {name: varied, diversity: {strength: 0.5}}
metric: {name: likers, events: [like]}
guardrails:
  - {name: hides, kind: count, events: [hide], higher_is_better: false, margin: 0.2}
planned_users: 600
window_hours: 1
"""


@pytest.fixture
def place(tmp_path: Path) -> str:
    path = tmp_path / "store.sqlite"
    Store(path).close()
    (tmp_path / "varied.yaml").write_text(FILE, encoding="utf-8")
    return str(path)


def test_from_a_plan_to_a_result(place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["experiments", "plan", "--baseline", "0.1", "--effect", "0.02"]) == 0
    assert capsys.readouterr().out.strip() == "10596"
    assert main(["experiments", "create", str(tmp_path / "varied.yaml"), "--store", place]) == 0
    assert "motet experiments start varied-lists" in capsys.readouterr().out
    assert main(["experiments", "start", "varied-lists", "--store", place]) == 0
    rng = np.random.default_rng(0)
    with Store(place) as store:
        start, events = datetime.now(UTC) - timedelta(days=1), []
        for at in range(600):
            arm = int(rng.random() < 0.5)
            user = ExposedUser("varied-lists", f"u{at}", ("as-it-is", "varied")[arm], 0, start)
            store.experiments.expose([user])
            if rng.random() < 0.2 + 0.25 * arm:
                events.append(Event("like", f"u{at}", "1", time=start + timedelta(minutes=1)))
        store.events.add(events)
    capsys.readouterr()
    assert main(["experiments", "show", "varied-lists", "--store", place]) == 0
    said = capsys.readouterr().out
    assert "as planned" in said
    assert "better: varied; a guardrail is still open" in said
    assert main(["experiments", "show", "varied-lists", "--store", place, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["decision"]["variants"] == ["varied"]
    assert main(["experiments", "list", "--store", place]) == 0
    assert "running" in capsys.readouterr().out
    assert main(["experiments", "stop", "varied-lists", "--store", place, "--reason", "found"]) == 0
    with Store(place) as store:
        (record,) = store.experiments.all()
        assert (record.state, record.reason) == ("stopped", "found")


def test_who_won_the_lists_of_two_rankings(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Synthetic lists, of which the second variant wins three in four."""
    kept = FILE.replace(FILE[FILE.index("guardrails") : FILE.index("planned")], "kind: interleaving\n")
    (tmp_path / "mixed.yaml").write_text(kept.replace("600", "400"), encoding="utf-8")
    assert main(["experiments", "create", str(tmp_path / "mixed.yaml"), "--store", place]) == 0
    assert main(["experiments", "start", "varied-lists", "--store", place]) == 0
    names, start = ("as-it-is", "varied"), datetime.now(UTC) - timedelta(days=1)
    items = tuple(ShownItem(str(k), variant=f"varied-lists:{one}") for k, one in enumerate(names))
    users = [f"u{at}" for at in range(400)]
    with Store(place) as store:
        store.experiments.expose([ExposedUser("varied-lists", one, names[at % 2], 0, start) for at, one in enumerate(users)])  # fmt: skip
        store.shown.add([Shown(items, user=one, time=start) for one in users])
        late = start + timedelta(minutes=1)
        store.events.add([Event("like", one, str(int(at % 8 > 1)), time=late) for at, one in enumerate(users)])  # fmt: skip
    capsys.readouterr()
    assert main(["experiments", "show", "varied-lists", "--store", place]) == 0
    said = capsys.readouterr().out
    assert "first places of users' first lists: as planned" in said
    assert "lists won: as-it-is 100, varied 300, neither 0 of 400" in said
    assert said.strip().endswith("preferred: varied")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "varied", "--store", "PLACE"], "there is no experiment 'varied'"),
        (["list", "--store", "nowhere.sqlite"], "nowhere.sqlite is not there"),
        (["create", "nothing.yaml", "--store", "PLACE"], "nothing.yaml cannot be read"),
        (["create", "BROKEN", "--store", "PLACE"], "is not YAML"),
        (["create", "LIST", "--store", "PLACE"], "does not hold an experiment"),
        (["create", "TYPO", "--store", "PLACE"], "did you mean 'metric'"),
        (["plan", "--effect", "0.1"], "--baseline"),
        (["plan", "--effect", "0.1", "--baseline", "3"], "is no share"),
        (["plan", "--effect", "0", "--baseline", "0.3"], "above 0"),
    ],
)
def test_mistakes_are_explained(
    arguments: list[str], said: str, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"BROKEN": "a: [", "LIST": "[1]", "TYPO": FILE.replace("metric:", "metrics:")}
    for name, content in files.items():
        (tmp_path / f"{name}.yaml").write_text(content, encoding="utf-8")
    paths = {name: str(tmp_path / f"{name}.yaml") for name in files} | {"PLACE": place}
    assert main(["experiments", *(paths.get(one, one) for one in arguments)]) == 2
    assert said in capsys.readouterr().err


def test_states_are_kept(place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    create = ["experiments", "create", str(tmp_path / "varied.yaml"), "--store", place]
    assert main(create) == 0
    assert main(create) == 2
    assert "there is an experiment" in capsys.readouterr().err
    assert main(["experiments", "show", "varied-lists", "--store", place]) == 2
    assert "is a draft" in capsys.readouterr().err
    assert main(["experiments", "stop", "varied-lists", "--store", place]) == 2
    assert main(["experiments", "start", "varied-lists", "--store", place]) == 0
    assert main(["experiments", "start", "varied-lists", "--store", place]) == 2
    other = tmp_path / "other.yaml"
    other.write_text(FILE.replace("varied-lists", "other"), encoding="utf-8")
    assert main(["experiments", "create", str(other), "--store", place]) == 0
    assert main(["experiments", "start", "other", "--store", place]) == 2
    assert "changes the diversity, too" in capsys.readouterr().err
