#!/usr/bin/env bash
# Puts the libraries that motet is measured against into .venv-peers, beside motet and the very torch it uses.
#
#   python3 -m venv .venv && .venv/bin/pip install -e .      (what `make` does)
#   bash benchmarks/setup_peers.sh
#   .venv-peers/bin/python -m benchmarks.train_speed
#
# .venv-peers sees every package of .venv through one .pth line, so that peer and motet run in one process on one
# build of torch and nothing is downloaded twice; .venv itself sees none of the peers. pip never replaces a package
# outside the environment it runs in, so .venv stays as it is.
#
# torch-rechub imports pandas, scikit-learn and tqdm. DeepCTR-Torch 0.3.0 has its own callbacks and needs no
# TensorFlow (0.2.x did); it imports `requests` to ask for newer versions of itself, which the benchmark leaves out
# (see benchmarks/_peer_deepctr.py). FuxiCTR 2.3.10 brings ray and h5py; its package has the training loop of several
# tasks and none of its models for them, which benchmarks.peers_methods takes from a checkout (--fuxictr DIR).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ ! -x .venv/bin/python ]]; then
    echo "setup_peers: .venv is missing; install motet into it first: python3 -m venv .venv && .venv/bin/pip install -e ." >&2
    exit 1
fi
site_of() { "$1" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])'; }

[[ -x .venv-peers/bin/python ]] || .venv/bin/python -m venv .venv-peers
# addsitedir, not a bare path: it also follows .venv's own .pth files, one of which is motet's editable install.
printf 'import site; site.addsitedir(r"%s")\n' "$(site_of .venv/bin/python)" \
    >"$(site_of .venv-peers/bin/python)/motet_environment.pth"

.venv-peers/bin/python -m pip install --quiet torch-rechub==0.9.0 deepctr-torch==0.3.0 fuxictr==2.3.10 "pandas>=2.2,<4"
.venv-peers/bin/python - <<'PY'
from importlib.metadata import version

import motet
import torch
from benchmarks._peer_deepctr import DeepctrMmoe
from benchmarks._peer_torch_rechub import RechubMmoe

print("ready: " + ", ".join(f"{name} {version(name)}" for name in ("torch", "torch-rechub", "deepctr-torch", "fuxictr", "motet")))
PY
