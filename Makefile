# make preprocess DICOM_DIR=…   set everything up and turn DICOM files into images (without DICOM_DIR: sample files)
# make test                     set everything up and run the tests
# make faults                   try to break it, for an hour or so, and write docs/robustness.md (and the figures in docs/clusters.md)
# make docs                     write the documentation as a site: site/index.html
# make bench                    measure everything and write docs/benchmarks.md; PARTS="seed floor" measures some of it
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
OPTIONS ?=
PARTS ?=
INSTALL := install --quiet --disable-pip-version-check
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --upgrade

.PHONY: preprocess test faults bench docs check format lock clean

preprocess: .venv/ready $(if $(DICOM_DIR),,samp_ds)
	$(BIN)/python scripts/01_preprocess.py --dicom_dir '$(or $(DICOM_DIR),samp_ds)' $(OPTIONS)

test: .venv/ready
	$(BIN)/pytest -n auto -q

faults: .venv/ready
	$(BIN)/pytest tests/faults tests/hostile tests/pacs/test_kills.py -n auto -q --thorough
	$(BIN)/pytest tests/cluster tests/engines/test_dask.py -n 2 -q --thorough -o faulthandler_timeout=1800
	$(BIN)/python -m tests.faults.figures

bench: .venv/bench-ready .venv/torch-ready
	$(BIN)/python -m benchmarks $(PARTS) $(OPTIONS)

docs: .venv/docs-ready
	$(BIN)/sphinx-build -q -W --keep-going docs site

check: .venv/ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/ready
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

samp_ds: .venv/ready
	$(BIN)/python -m dicomprep.cli.samples $@

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip $(INSTALL) --require-hashes -r requirements.lock
	$(BIN)/pip $(INSTALL) --no-deps --editable .
	touch $@

.venv/bench-ready: .venv/ready requirements-bench.lock requirements-dicom2jpg.lock
	$(BIN)/pip $(INSTALL) --require-hashes -r requirements-bench.lock
	$(PYTHON) -m venv .venv/dicom2jpg
	-.venv/dicom2jpg/bin/pip $(INSTALL) --require-hashes -r requirements-dicom2jpg.lock
	touch $@

.venv/docs-ready: .venv/ready requirements-docs.lock
	$(BIN)/pip $(INSTALL) --require-hashes -r requirements-docs.lock
	touch $@

# Apart from the lock, for its builds differ: the tests of loaders and the benchmark of them need it, nothing else does.
.venv/torch-ready: .venv/ready
	$(BIN)/pip $(INSTALL) torch==2.13.0
	touch $@

lock:
	$(COMPILE) --group dev pyproject.toml -o requirements.lock
	$(COMPILE) --group bench --constraint requirements.lock -o requirements-bench.lock
	$(COMPILE) --group docs pyproject.toml --constraint requirements.lock -o requirements-docs.lock
	$(COMPILE) --group dicom2jpg -o requirements-dicom2jpg.lock

clean:
	rm -rf .venv site samp_ds thumbnails dicomprep.db dicomprep.db.key dicomprep.db.token dicomprep.db.lock
