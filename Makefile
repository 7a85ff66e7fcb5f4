# From annotated images to a trained, exported, measured detector:
#
#   make tfrecords DATA=photos FORMAT=voc
#   make train MODEL=ssd_mobilenet
#   make export
#
# `make help` lists the rest. Each target is one `tfod` command, which make prints.

DATA     ?= work/demo/data
FORMAT   ?= auto
RECORDS  ?= work/records
MODEL    ?= ssd_cpu
STEPS    ?=
MINUTES  ?= 5
BATCH    ?=
PRETRAINED ?=
CHECKPOINT ?=
ZOO      ?=
# PICTURES is the former name of IMAGES.
IMAGES   ?= $(or $(PICTURES),$(DATA))
TARGET   ?=
QUANTISE ?=
PORT     ?= 6006
JOBS     ?= 1

# Where MODEL is trained, and the run that export, predict and others use: the one trained last,
# unless MODEL or RUN is given.
RUN      ?= work/$(MODEL)
NEWEST    = $(firstword $(shell ls -t work/*/ckpt-*.index 2>/dev/null))
ifeq ($(origin MODEL) $(origin RUN),file file)
TRAINED   = $(or $(patsubst %/,%,$(dir $(NEWEST))),$(RUN))
else
TRAINED   = $(RUN)
endif

VENV  := .venv
BIN   := $(VENV)/bin
TFOD  := $(BIN)/tfod
READY := $(VENV)/.installed

# Python 3.12, 3.11 or 3.13: the first of these that exists and starts.
PYTHON ?= $(shell for python in python3.12 python3.11 python3.13 python3 python; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	2>/dev/null && { echo $$python; break; }; done)

# Without compiled bytecode TensorFlow takes three times as long to import.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo demo-photos tfrecords configure train inspect check lr evaluate report export predict serve tensorboard doctor \
	test unit-tests test-long test-peers soak lint docs upstream-tests benchmarks constraints wheel clean FORCE
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  DATA=$(DATA) FORMAT=$(FORMAT) RECORDS=$(RECORDS) MODEL=$(MODEL)"
	@echo "  also: STEPS=N BATCH=N PRETRAINED=1 CHECKPOINT=PREFIX ZOO=FOLDER RUN=FOLDER IMAGES=PATH"
	@echo "        TARGET=tflite,onnx,openvino,tfjs,serving QUANTISE=int8"

install: $(READY) ## set up .venv with all packages

demo: $(READY) ## everything, from drawn data to detections on new images, in minutes
	$(TFOD) demo --out work/demo/data
	$(TFOD) convert work/demo/data --out work/demo/records
	$(TFOD) configure ssd_cpu --records work/demo/records --out work/demo/run \
		--augment horizontal_flip,vertical_flip,rotate90 --anchors keep --steps 400
	$(TFOD) train work/demo/run
	$(TFOD) evaluate work/demo/run --split test
	$(TFOD) report work/demo/run
	$(TFOD) export work/demo/run --out work/demo/export
	$(TFOD) predict work/demo/export work/demo/data/unseen --out work/demo/predictions \
		--min_score 0.4 --nms 0.5 --nms_agnostic
	@echo
	@echo "The demo is done. Look at:"
	@echo "  work/demo/predictions   images the model never saw, with its detections drawn"
	@echo "  work/demo/run           checkpoints, pipeline.config; report.html has the results"
	@echo "  work/demo/export        the exported model"
	@echo "Curves and images:    make tensorboard RUN=work/demo/run"
	@echo "Your own images:      make tfrecords DATA=FOLDER && make train && make export"

demo-photos: $(READY) ## the same on your own photographs: DATA=FOLDER, MINUTES=5, and ZOO or PRETRAINED=1
	@test "$(origin DATA)" != file || { echo "Name your annotated images: make demo-photos DATA=FOLDER"; exit 2; }
	$(TFOD) inspect $(DATA) --format $(FORMAT) --out work/photos/inspect
	$(TFOD) convert $(DATA) --format $(FORMAT) --out work/photos/records
	$(TFOD) configure $(if $(filter file,$(origin MODEL)),$(if $(PRETRAINED),fpnlite),$(MODEL)) \
		$(if $(ZOO),--zoo $(ZOO)) $(if $(PRETRAINED),--pretrained) \
		--records work/photos/records --out work/photos/run --overwrite
	$(TFOD) train work/photos/run --minutes $(MINUTES) --resume never
	$(TFOD) evaluate work/photos/run
	$(TFOD) report work/photos/run
	$(TFOD) export work/photos/run --out work/photos/export
	$(TFOD) predict work/photos/export $(IMAGES) --out work/photos/predictions --min_score 0.4
	@echo
	@echo "Look at:"
	@echo "  work/photos/inspect       the data set: statistics and samples"
	@echo "  work/photos/predictions   your images with detections drawn, those trained on among them"
	@echo "  work/photos/run           report.html; eval/samples has images it was not trained on"

tfrecords: $(READY) $(if $(filter file,$(origin DATA)),$(DATA)) ## DATA, FORMAT -> records and label map
	$(TFOD) convert $(DATA) --format $(FORMAT) --out $(RECORDS)

configure: $(RUN)/pipeline.config ## MODEL -> its pipeline.config for the records

train: $(RUN)/pipeline.config ## train MODEL on the records
	$(TFOD) train $(RUN)

inspect: $(READY) ## statistics and samples of DATA, as a page in work/inspect
	$(TFOD) inspect $(DATA) --format $(FORMAT) --out work/inspect

check: $(READY) ## find what would fail or mislead, before training MODEL
	$(TFOD) check $(RUN)

evaluate: $(READY) ## COCO metrics of the last trained model
	$(TFOD) evaluate $(TRAINED)

report: $(READY) ## one page of results of the last trained model
	$(TFOD) report $(TRAINED)

export: $(READY) ## export the last trained model; TARGET=tflite,onnx,... for other runtimes
	$(TFOD) export $(TRAINED) $(if $(TARGET),--target $(TARGET)) \
		$(if $(QUANTISE),--quantise $(QUANTISE))

predict: $(READY) ## draw the exported model's detections in IMAGES
	$(TFOD) predict $(TRAINED)/export $(IMAGES) --out $(TRAINED)/predictions

tensorboard: $(READY) ## training curves and images in the browser
	$(BIN)/tensorboard --logdir $(if $(filter file,$(origin RUN)),work,$(RUN)) --port $(PORT)

serve: $(READY) ## detect over HTTP with the exported model
	$(TFOD) serve $(TRAINED)/export

lr: $(RUN)/pipeline.config ## find a learning rate for MODEL
	$(TFOD) lr $(RUN)

doctor: $(READY) ## check this environment
	$(TFOD) doctor

test: lint unit-tests ## lint, types, and all tests except the long ones

unit-tests: $(READY)
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --durations 25

test-long: $(READY) ## the long tests: minutes of training each
	$(BIN)/python -m pytest -m long

test-peers: $(READY) ## beside other tools' own code, in environments of their own in .peers (5 GB)
	$(BIN)/python tests/peers/environments.py
	$(BIN)/python -m pytest -m peers tests/peers

soak: $(READY) ## MINUTES=5 JOBS=1: kills, full disks, damaged inputs, two of everything; prints figures
	PYTHONPATH=tests $(BIN)/python -m soak --minutes $(MINUTES) --jobs $(JOBS)

lint: $(READY) ## ruff, mypy and the vocabulary of CONTRIBUTING.md
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tools/vocabulary.py

docs: $(READY) ## the documentation, in build/docs; broken links and undocumented names fail
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs build/docs
	@echo "Open build/docs/index.html"

upstream-tests: $(READY) ## upstream's own unit tests; each failure has a stated reason
	$(BIN)/python tests/upstream/run.py

benchmarks: $(READY) ## compare speed with upstream's programs
	for script in $(filter-out benchmarks/distil.py benchmarks/install.py benchmarks/quantise.py benchmarks/recipe.py benchmarks/recipe_peers.py benchmarks/tune.py,$(wildcard benchmarks/*.py)); do echo "== $$script"; $(BIN)/python $$script || exit; done

wheel: $(READY) ## build the wheel into dist/
	$(BIN)/python -m build --wheel

constraints: $(READY) ## take the newest versions into the files that pin them (needs uv)
	$(BIN)/python tools/lock.py --upgrade

clean: ## remove what was built, not what was trained
	rm -rf $(VENV) build dist *.egg-info .hypothesis .pytest_cache .mypy_cache .ruff_cache

# The demo's data, if no other is named.
work/demo/data: $(READY)
	$(TFOD) demo --out $@

$(RECORDS)/report.json:
	@test -e $@ || $(MAKE) --no-print-directory tfrecords

# A config is written once and then kept, so that manual edits survive; options that it would
# have to follow write it again.
$(RUN)/pipeline.config: $(if $(STEPS)$(BATCH)$(PRETRAINED)$(CHECKPOINT)$(ZOO),FORCE) | $(READY) $(RECORDS)/report.json
	$(TFOD) configure $(MODEL) --records $(RECORDS) --out $(RUN) \
		$(if $(STEPS),--steps $(STEPS)) $(if $(BATCH),--batch_size $(BATCH)) \
		$(if $(PRETRAINED),--pretrained) \
		$(if $(CHECKPOINT),--checkpoint $(CHECKPOINT)) $(if $(ZOO),--zoo $(ZOO))

# constraints.txt pins what a resolver finds for Python 3.11 and 3.12. constraints-3.13.txt is
# complete and installed as it is, since upstream's metadata cannot be resolved there.
$(READY): setup.cfg pyproject.toml constraints.txt constraints-3.13.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed, and none was found." \
		"Install one, or name it: make PYTHON=/path/to/python3.12"; exit 2; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version): one to ten minutes, 4.2 GB"
	@if $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 13))'; then \
		set -- --no-deps -r constraints-3.13.txt -e .; \
	else \
		set -- -c constraints.txt -e '.[engine,dev]'; \
	fi; \
	if command -v uv >/dev/null; then \
		uv venv --quiet --clear --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV) && \
		uv pip install --quiet --compile-bytecode --python $(BIN)/python "$$@"; \
	else \
		$(PYTHON) -m venv --clear $(VENV) && \
		$(BIN)/python -m pip install --quiet "$$@"; \
	fi
	@$(BIN)/python -m compileall -q tfod_kit
	@touch $@

FORCE:
