# make preprocess DICOM_DIR=…   set everything up and turn DICOM files into images (without DICOM_DIR: sample files)
# make test                     set everything up and run the tests
# make bench                    measure against the seed's design; writes docs/benchmarks.md
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
OPTIONS ?=

.PHONY: preprocess test bench check format lock clean

preprocess: .venv/ready $(if $(DICOM_DIR),,samp_ds)
	$(BIN)/python scripts/01_preprocess.py --dicom_dir '$(or $(DICOM_DIR),samp_ds)' $(OPTIONS)

test: .venv/ready
	$(BIN)/pytest -n auto -q

bench: .venv/ready
	$(BIN)/python -m benchmarks.run $(OPTIONS)

check: .venv/ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/ready
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

samp_ds: .venv/ready
	$(BIN)/python -m dicomprep.samples $@

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

lock:
	uv pip compile --quiet --universal --python-version 3.11 --group dev --generate-hashes \
		--no-emit-index-url --no-header --upgrade pyproject.toml -o requirements.lock

clean:
	rm -rf .venv samp_ds thumbnails dicomprep.db dicomprep.db.key dicomprep.db.lock
