# make demo        train and judge one model on real data
# make test        the whole test suite and the static checks
# make benchmark   every figure of the README; each part alone: make benchmark-train, -score, -text, -stream, -quality
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RUN    ?= runs/demo
.PHONY: demo test check benchmark benchmark-train benchmark-score benchmark-text benchmark-stream benchmark-quality clean

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check torch==$$(sed -n 's/^torch==//p' constraints.txt)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(VENV)/.installed
	$(BIN)/motet datasets fetch movielens-100k --out data/movielens-100k
	$(BIN)/motet train data/movielens-100k/schema.yaml --data data/movielens-100k --out $(RUN) --overwrite
	$(BIN)/motet evaluate $(RUN) --data data/movielens-100k --controls

test: check
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

check: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

benchmark: benchmark-train benchmark-score benchmark-text benchmark-stream benchmark-quality

.venv-peers/.installed: $(VENV)/.installed benchmarks/setup_peers.sh
	benchmarks/setup_peers.sh
	touch $@

benchmark-train: .venv-peers/.installed
	.venv-peers/bin/python -m benchmarks.train_speed --ids 155000
	.venv-peers/bin/python -m benchmarks.train_speed --ids 6000000

benchmark-score: .venv-peers/.installed
	.venv-peers/bin/python -m benchmarks.score_speed

benchmark-text: $(VENV)/.installed
	$(BIN)/python -m benchmarks.text_encoding

benchmark-stream: $(VENV)/.installed
	$(BIN)/python -m benchmarks.stream

benchmark-quality: $(VENV)/.installed
	$(BIN)/python -m benchmarks.quality

clean:
	rm -rf $(VENV) .venv-peers runs data
