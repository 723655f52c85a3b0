"""What importing costs, and that the base install needs no extra."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import motet

ROOT = Path(motet.__file__).parent

HEAVY = ("torch", "polars", "numpy", "pydantic", "sklearn", "lightgbm", "transformers", "fastapi")


def run_and_report(code: str, *arguments: object) -> dict[str, Any]:
    """Run code in a new process: its processor time, and which heavy modules it loaded."""
    report = (
        "import json, sys, time\n"
        f"print(json.dumps([time.process_time(), [m for m in {HEAVY} if m in sys.modules]]), file=sys.stderr)"
    )
    command = [sys.executable, "-c", f"{code}\n{report}", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, loaded = json.loads(done.stderr.splitlines()[-1])
    return {"seconds": seconds, "loaded": set(loaded), "output": done.stdout}


def run_command(*arguments: object) -> dict[str, Any]:
    return run_and_report(
        "import sys\nfrom motet.cli import main\nassert main(sys.argv[1:]) == 0", *arguments
    )


@pytest.fixture(scope="module")
def bare_s() -> float:
    """Processor time of an interpreter that does nothing: the measure of a slow machine."""
    return min(float(run_and_report("pass")["seconds"]) for _ in range(3))


def test_importing_the_package_costs_nothing(bare_s: float) -> None:
    done = [run_and_report("import motet\nprint(motet.__version__)") for _ in range(3)]
    assert done[0]["output"] == f"{motet.__version__}\n"
    assert done[0]["loaded"] == set()
    assert min(d["seconds"] for d in done) < max(0.3, 5 * bare_s)


def test_the_version_costs_nothing(bare_s: float) -> None:
    done = [run_command("--version") for _ in range(3)]
    assert done[0]["output"] == f"{motet.__version__}\n"
    assert done[0]["loaded"] == set()
    assert min(d["seconds"] for d in done) < max(0.5, 8 * bare_s)


def test_what_the_package_promises_is_there() -> None:
    stub = ast.parse((ROOT / "__init__.pyi").read_text(encoding="utf-8"))
    (promised,) = (
        ast.literal_eval(node.value)
        for node in stub.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    for name in promised:
        assert hasattr(motet, name), f"motet.{name} is in __init__.pyi and not there"
    assert set(motet.__all__) == set(promised) - {"__version__"}


@pytest.mark.parametrize(
    "command",
    [["--help"], ["train", "--help"], ["serve", "--help"], ["datasets", "list"], ["inspect"], ["check"]],
)
def test_a_command_that_needs_no_model_loads_no_torch(command: list[str], tmp_path: Path) -> None:
    pl.DataFrame(
        {
            "user_id": [k % 7 for k in range(60)],
            "item_id": [k % 5 for k in range(60)],
            "click": [0, 1, 1] * 20,
        }
    ).write_csv(tmp_path / "clicks.csv")
    arguments: list[object] = [*command]
    if command == ["inspect"]:
        arguments.append(tmp_path)
    if command == ["check"]:
        run_command("inspect", tmp_path, "--out", tmp_path / "schema.yaml")
        arguments += [tmp_path / "schema.yaml", "--data", tmp_path]
    done = run_command(*arguments)
    assert done["output"]
    assert "torch" not in done["loaded"]
    if "--help" in command:
        assert done["loaded"] <= {"pydantic"}  # which the library of the command line brings


OF_EXTRAS = (
    "captum",
    "faiss",
    "fastapi",
    "gguf",
    "httpx",
    "jsonschema",
    "llguidance",
    "onnx",
    "onnxruntime",
    "opentelemetry",
    "pandas",
    "peft",
    "phonenumbers",
    "prometheus_client",
    "psycopg",
    "rapidfuzz",
    "sentence_transformers",
    "sqlalchemy",
    "starlette",
    "stdnum",
    "tokenizers",
    "torch_geometric",
    "torchjd",
    "transformers",
    "uvicorn",
)
SHOP = """\
name: shop
tables: {interactions: clicks.csv}
keys: {user: who, item: what, time: at}
features: {user: {who: id}, item: {what: id}}
tasks: {click: {kind: binary, label: click}, next: {kind: retrieval, positive: click = 1}}
model: {architecture: mmoe, width: 4}
training: {epochs: 1}
"""


def test_the_base_install_trains_and_answers_without_any_extra(tmp_path: Path) -> None:
    """The packages of extras are hidden in a new process; tests/install does the same in a fresh environment."""
    who, what = [k % 11 for k in range(220)], [(k * k) % 37 for k in range(220)]
    pl.DataFrame(
        {"who": who, "what": what, "at": range(1_700_000_000, 1_700_000_220), "click": [0, 1, 1, 0] * 55}
    ).write_csv(tmp_path / "clicks.csv")
    (tmp_path / "schema.yaml").write_text(SHOP, encoding="utf-8")
    code = f"""
import sys
sys.modules.update(dict.fromkeys({OF_EXTRAS}))
from motet.cli import main
place = sys.argv[1]
b = f"{{place}}/bundle"
for command in (
    ["fit", f"{{place}}/schema.yaml", "--data", place, "--out", b],
    ["evaluate", b, "--data", place],
    ["predict", b, "--pairs", f"{{place}}/clicks.csv", "--out", f"{{place}}/p.csv"],
    ["recommend", b, "--users", f"{{place}}/clicks.csv", "--out", f"{{place}}/l.csv"],
    ["explain", b, "--user", "1", "--item", "1"],
    ["profile", b, "--user", "1"],
):
    assert main(command) == 0, command
for command in (["ask", b, "hats"], ["list", b, "three hats"], ["serve", b]):
    assert main([*command, "--json"] if command[0] != "serve" else command) == 2, command
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(pl.read_csv(tmp_path / "p.csv")) == 220
    assert done.stdout.count("pip install 'motet[language]'") == 2
    assert "pip install 'motet[serve]'" in done.stderr
