# make demo   compile two trained networks, run them on held-out pictures, compare with ONNX Runtime
# make test   run all tests
# make bench  measure against ONNX Runtime and OpenVINO; make bench BENCH="batch1 --only vgg16"
# make test-gpu   check modules on a CUDA device
# make bench-gpu  measure against PyTorch on a CUDA device; make bench-gpu BENCH="pairs --quick"
# make lint   formatting, lint, types
# Each makes its own virtual environment in .venv on first use.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test quick bench test-gpu bench-gpu lint docs clean

demo: $(READY)
	$(BIN)/python -m examples.demo

test: $(READY)
	$(BIN)/python -m pytest -n auto -m "not bench"

quick: $(READY)
	$(BIN)/python -m pytest -n auto -m "not bench and not slow"

bench: $(READY) .venv/.bench
	$(BIN)/python -m benchmarks $(BENCH)

test-gpu: $(READY)
	NUMBA_ENABLE_CUDASIM=0 $(BIN)/python -m pytest -m gpu -rs tests/gpu

bench-gpu: $(READY)
	$(BIN)/python -m benchmarks.gpu $(BENCH)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(READY)
	$(BIN)/python -m cnndsl.docs docs/language.md
	$(BIN)/python -m cnndsl.docs_pictures examples docs/pictures
	$(BIN)/python -m cnndsl.docs_gallery examples docs/gallery.md
	$(BIN)/python -m cnndsl.docs_onnx docs/onnx-support.md

clean:
	rm -rf .venv build dist out .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/.bench: pyproject.toml $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	@touch $@

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "cnndsl needs Python 3.11 or newer: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[torch]' || \
	  echo "PyTorch cannot be installed here; tests that need it will be skipped" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[cuda-test]' || \
	  echo "numba-cuda cannot be installed here; tests that need it will be skipped" >&2
	@touch $@
