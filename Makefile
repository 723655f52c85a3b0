# make demo        train and judge one model on real data
# make serve       the demo's model over HTTP, with its pages; prints the address
# make test        the whole test suite and the static checks
# make test-soak   the tests that make test leaves out: processes killed, floods of bodies, full disks, several minutes
# make test-fast   without service, requests and texts, in two minutes
# make docs        the site of docs/ in site/; a dead link or an unknown name fails
# make test-install  the wheel in fresh environments: base, each extra alone, all of them, and the lowest versions of the base;
#                  an hour and 15 GB in all; one alone: make test-install-NAME with base, lowest, all or the name of an extra
# make benchmark   every figure of docs/benchmarks.md and of the guide, hours in all; each part alone: make benchmark-NAME with
#                  train, score, text, stream, quality, funnels, transfer, balancers, defaults, scenarios, data, generation, requests, ask, knowledge, reasons, profiles, lists, tuning,
#                  safety, service, prequential, sharing, and beside them zoo (every method, 24 hours) and methods (beside other libraries); a line that begins with "-" ends with 1 where a goal is missed, and the rest goes on
# make soak        the service for an hour: a day's requests, with a learner too, its process killed, its store taken away
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RUN    ?= runs/demo
REQUEST := a funny space adventure from the eighties, no horror, like Toy Story
PARTS  := train score text stream quality funnels transfer balancers defaults scenarios data generation requests ask knowledge reasons profiles lists tuning safety service prequential sharing
# many tests wait for a server or a clock, so that three of them keep two processors busy
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n 3 --dist worksteal
INSTALLS := base lowest explain language generate graph resample serve streams surgery traces tune all
.PHONY: demo serve test test-soak test-fast check docs benchmark benchmark-zoo benchmark-methods soak clean $(PARTS:%=benchmark-%) test-install $(INSTALLS:%=test-install-%)

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check torch==$$(sed -n 's/^torch==//p' constraints.txt)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(VENV)/.installed
	$(BIN)/motet datasets fetch movielens-100k --out data/movielens-100k
	$(BIN)/motet train data/movielens-100k/schema.yaml --data data/movielens-100k --out $(RUN) --overwrite
	$(BIN)/motet evaluate $(RUN) --data data/movielens-100k --baselines
	@echo && echo 'motet explain $(RUN) --user 42'
	@$(BIN)/motet explain $(RUN) --user 42
	@echo && echo 'motet ask $(RUN) --user 42 -k 3 "$(REQUEST)"'
	@$(BIN)/motet ask $(RUN) --user 42 -k 3 "$(REQUEST)"

$(RUN)/manifest.json: | $(VENV)/.installed
	$(BIN)/motet datasets fetch movielens-100k --out data/movielens-100k
	$(BIN)/motet train data/movielens-100k/schema.yaml --data data/movielens-100k --out $(RUN) --overwrite

serve: $(VENV)/.installed $(RUN)/manifest.json
	$(BIN)/motet serve $(RUN)

test: check
	$(PYTEST) -m "not soak"

test-soak: $(VENV)/.installed
	$(PYTEST) -m soak

FAST := $(addprefix tests/,schema kinds models evaluation data datasets graph training test_structure.py test_imports.py)
test-fast: $(VENV)/.installed
	$(BIN)/ruff check .
	$(PYTEST) -m "not slow and not soak" --ignore tests/training/tuning $(FAST)

check: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

test-install: $(INSTALLS:%=test-install-%)

$(INSTALLS:%=test-install-%): test-install-%:
	$(PYTHON) tests/install/environments.py $*

benchmark: $(PARTS:%=benchmark-%)

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

benchmark-sharing: $(VENV)/.installed
	$(BIN)/python -m benchmarks.sharing

benchmark-prequential: $(VENV)/.installed
	$(BIN)/python -m benchmarks.prequential
	$(BIN)/python -m benchmarks.prequential --set world

benchmark-balancers: $(VENV)/.installed
	$(BIN)/python -m benchmarks.balancers --seconds 3600

benchmark-funnels: $(VENV)/.installed
	$(BIN)/python -m benchmarks.funnels --seeds 0 1 2

benchmark-transfer: $(VENV)/.installed
	$(BIN)/python -m benchmarks.transfer --seeds 0 1 2
	$(BIN)/python -m benchmarks.add_task

benchmark-defaults: $(VENV)/.installed
	$(BIN)/python -m benchmarks.defaults
	$(BIN)/python -m benchmarks.defaults --ablation text

benchmark-scenarios: $(VENV)/.installed
	$(BIN)/python -m benchmarks.scenarios --seeds 0 1 2

benchmark-data: $(VENV)/.installed
	$(BIN)/python -m benchmarks.data_methods --seeds 0 1 2 --seconds 7200

benchmark-zoo: $(VENV)/.installed
	$(BIN)/python -m benchmarks.zoo --processes 2

# FUXICTR names a checkout of its repository; without one it is left out
benchmark-methods: .venv-peers/.installed
	.venv-peers/bin/python -m benchmarks.peers_methods --threads 2 $(FUXICTR:%=--fuxictr %)

benchmark-generation: $(VENV)/.installed
	$(BIN)/python -m benchmarks.generation

benchmark-requests: $(VENV)/.installed
	$(BIN)/python -m benchmarks.requests --reader both

benchmark-ask: demo
	$(BIN)/python -m benchmarks.ask_ranking $(RUN) --data data/movielens-100k

benchmark-knowledge: $(VENV)/.installed
	$(BIN)/python -m benchmarks.graph

benchmark-reasons: demo
	$(BIN)/python -m benchmarks.reasons $(RUN) --data data/movielens-100k

benchmark-profiles: $(VENV)/.installed
	$(BIN)/python -m benchmarks.profiles

benchmark-lists: $(VENV)/.installed
	$(BIN)/python -m benchmarks.lists

benchmark-tuning: $(VENV)/.installed
	$(BIN)/python -m benchmarks.tuning

benchmark-safety: $(VENV)/.installed
	$(BIN)/python -m benchmarks.safety

benchmark-service: $(VENV)/.installed $(RUN)/manifest.json
	-$(BIN)/python -m benchmarks.service_speed --bundle $(RUN)
	$(BIN)/python -m benchmarks.recommend_scale --items 10000 1000000
	$(BIN)/python -m benchmarks.store_ingest
	-$(BIN)/python -m benchmarks.service_swaps --bundle $(RUN)
	-$(BIN)/python -m benchmarks.service_faults --bundle $(RUN)
	-$(BIN)/python -m benchmarks.api_cases $(RUN) --cases 20000

soak: $(VENV)/.installed $(RUN)/manifest.json
	-$(BIN)/python -m benchmarks.service_soak --bundle $(RUN)
	-$(BIN)/python -m benchmarks.service_soak --learner
	$(BIN)/python -m benchmarks.service_faults --bundle $(RUN)

clean:
	rm -rf $(VENV) .venv-peers runs data site
