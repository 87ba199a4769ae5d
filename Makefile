# make preprocess DICOM_DIR=…   set up what running needs and turn DICOM files into images (without DICOM_DIR: sample files)
# make test                     set up what developing needs and run the tests
# make faults                   try to break it, for an hour or so, and write docs/robustness.md (and the figures in docs/clusters.md)
# make docs                     write the documentation as a site: site/index.html
# make dist                     build wheel and sdist in dist/, check them and try the wheel in an environment of its own
# make bench                    measure everything and write docs/benchmarks.md; PARTS="seed floor" measures some of it
PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
BIN := .venv/bin
OPTIONS ?=
PARTS ?=
INSTALL := install --quiet --disable-pip-version-check
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --upgrade
PACKAGES = $(shell grep -o '^[A-Za-z0-9._-]*==' $(1) | sort -u | wc -l | tr -d ' ')

.PHONY: preprocess test faults bench docs dist check format lock clean

preprocess: .venv/ready $(if $(DICOM_DIR),,samp_ds)
	$(BIN)/python scripts/01_preprocess.py --dicom_dir '$(or $(DICOM_DIR),samp_ds)' $(OPTIONS)

test: .venv/dev-ready
	$(BIN)/pytest -n auto -q

faults: .venv/dev-ready
	$(BIN)/pytest tests/faults tests/hostile tests/pacs/test_kills.py -n auto -q --thorough
	$(BIN)/pytest tests/cluster tests/engines/test_dask.py -n 2 -q --thorough -o faulthandler_timeout=1800
	$(BIN)/python -m tests.faults.figures

bench: .venv/bench-ready .venv/torch-ready
	$(BIN)/python -m benchmarks $(PARTS) $(OPTIONS)

docs: .venv/docs-ready
	$(BIN)/sphinx-build -q -W --keep-going docs site

dist: .venv/dist-ready .venv/dev-ready
	rm -rf dist
	.venv/dist/bin/python -m build --no-isolation
	.venv/dist/bin/twine check --strict dist/*
	.venv/dist/bin/check-wheel-contents dist/*.whl
	.venv/dist/bin/cffconvert --validate
	$(BIN)/pytest tests/packaging -n 0 -q --thorough

check: .venv/dev-ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/dev-ready
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

samp_ds: .venv/ready
	$(BIN)/python -m dicomprep.cli.samples $@

# Running needs few packages; each of the other stamps adds its own to the same environment, in the same versions.
.venv/ready: requirements-run.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dicomprep needs Python 3.11 or later: make PYTHON=/path/to/python3.11 …")'
	@echo "Making the environment in .venv: dicomprep and $(call PACKAGES,requirements-run.lock) packages, half a minute or so …"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip $(INSTALL) --require-hashes -r requirements-run.lock
	@$(BIN)/pip $(INSTALL) --no-deps --editable .
	@touch $@

.venv/dev-ready: .venv/ready requirements.lock
	@echo "Adding what developing needs to .venv: $(call PACKAGES,requirements.lock) packages in all, a minute or two …"
	@$(BIN)/pip $(INSTALL) --require-hashes -r requirements.lock
	@touch $@

.venv/bench-ready: .venv/dev-ready requirements-bench.lock requirements-dicom2jpg.lock
	$(BIN)/pip $(INSTALL) --require-hashes -r requirements-bench.lock
	$(PYTHON) -m venv .venv/dicom2jpg
	-.venv/dicom2jpg/bin/pip $(INSTALL) --require-hashes -r requirements-dicom2jpg.lock
	touch $@

.venv/dist-ready: .venv/ready requirements-dist.lock
	$(PYTHON) -m venv .venv/dist
	.venv/dist/bin/pip $(INSTALL) --require-hashes -r requirements-dist.lock
	touch $@

.venv/docs-ready: .venv/dev-ready requirements-docs.lock
	$(BIN)/pip $(INSTALL) --require-hashes -r requirements-docs.lock
	touch $@

# Apart from the lock, for its builds differ: the tests of loaders and the benchmark of them need it, nothing else does.
.venv/torch-ready: .venv/dev-ready
	$(BIN)/pip $(INSTALL) torch==2.13.0
	touch $@

lock:
	$(COMPILE) --group dev pyproject.toml -o requirements.lock
	$(COMPILE) pyproject.toml --constraint requirements.lock -o requirements-run.lock
	$(COMPILE) --group bench --constraint requirements.lock -o requirements-bench.lock
	$(COMPILE) --group docs pyproject.toml --constraint requirements.lock -o requirements-docs.lock
	$(COMPILE) --group dist -o requirements-dist.lock
	$(COMPILE) --group dicom2jpg -o requirements-dicom2jpg.lock

clean:
	rm -rf .venv dist site samp_ds thumbnails dicomprep.db dicomprep.db.key dicomprep.db.token dicomprep.db.lock
