# The two commands of the README, and the benchmarks. Each makes the virtual environment it needs.

PYTHON ?= python3
VENV ?= .venv
# Modules are compiled to bytecode when they are imported, not all of them when they are installed, which
# takes most of a minute.
INSTALL = $(VENV)/bin/python -m pip --disable-pip-version-check install -q --no-compile -c constraints.txt
unexport PYTHONDONTWRITEBYTECODE
INPUTS = pyproject.toml constraints.txt
DEMO_OUT ?= out/still_life
DEMO_MINUTES ?= 3.5
DATA ?= ../shared/data

.PHONY: demo demo-dynamic test lint types kernels browser format bench docs clean

demo: $(VENV)/.run
	$(VENV)/bin/sfumato reconstruct demo/still_life_video/still_life.mp4 -o $(DEMO_OUT) \
		--minutes $(DEMO_MINUTES) --overwrite
	@echo
	@echo "Held-out frames beside the video:     $(DEMO_OUT)/renders/contact_sheet.png"
	@echo "The scene, in a page for any browser:  $(DEMO_OUT)/scene.html"

# A scene that moves, from the small multi-view video of the project.
demo-dynamic: $(VENV)/.run
	$(VENV)/bin/sfumato track demo/moving_room -o out/moving_room --test-cameras cam00 cam15 \
		--steps-first 900 --views-per-step 28 --steps-refine 900
	@echo
	@echo "Held-out videos beside the renders:   out/moving_room/renders/held_out.mp4"
	@echo "The scene, in a page for any browser:  out/moving_room/scene.html"

test: $(VENV)/.test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	@$(MAKE) --no-print-directory -j3 types kernels browser
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -rs -n 3 --dist loadfile --no-loadscope-reorder \
		--max-worker-restart 0

lint: $(VENV)/.test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	@$(MAKE) --no-print-directory types

types: $(VENV)/.test
	$(VENV)/bin/mypy

# The kernels of all tests, so that no test waits for them.
kernels: $(VENV)/.test
	PYTHONPATH=tests $(VENV)/bin/python -m support.kernels

browser: $(VENV)/.test
	@node tools/viewer/get_browser.mjs $(VENV)/browser || echo "no browser: the tests of the page are skipped"

format: $(VENV)/.test
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

bench: $(VENV)/.run
	$(VENV)/bin/python benchmarks/roofline.py
	$(VENV)/bin/python benchmarks/rasterizer.py
	$(VENV)/bin/python benchmarks/gpu_instructions.py
	$(VENV)/bin/python benchmarks/device.py
	$(VENV)/bin/python benchmarks/step.py $(DATA)/fox_colmap --downscale 2
	$(VENV)/bin/python benchmarks/growth.py
	$(VENV)/bin/python benchmarks/time_to_psnr.py $(DATA)
	$(VENV)/bin/python benchmarks/captures.py $(DATA)
	$(VENV)/bin/python benchmarks/sharpness.py $(DATA)
	$(VENV)/bin/python benchmarks/sfm.py $(DATA)
	$(VENV)/bin/python benchmarks/raytracer.py $(if $(MITSUBA),--mitsuba $(MITSUBA))
	$(VENV)/bin/python benchmarks/bvh.py
	$(VENV)/bin/python benchmarks/motion_priors.py
	$(VENV)/bin/python benchmarks/splat.py $(DATA)/clouds/lion_takanawa.ply
	$(VENV)/bin/python benchmarks/fit.py $(DATA)
	$(VENV)/bin/python benchmarks/splat_or_train.py
	$(VENV)/bin/python benchmarks/mesh.py
	$(VENV)/bin/python benchmarks/starts.py $(DATA)
	$(VENV)/bin/python benchmarks/envelope.py $(DATA) --sets still_life
	$(VENV)/bin/python benchmarks/tracking.py demo/moving_room --test-cameras cam00 cam15 --steps-first 1500
	$(VENV)/bin/python benchmarks/tracking_cost.py demo/moving_room --test-cameras cam00 cam15
	$(VENV)/bin/python benchmarks/renderers.py $(DATA)
	$(VENV)/bin/python benchmarks/live.py $(DATA)/fox_colmap
	$(VENV)/bin/python benchmarks/formats.py $(DATA)
	$(VENV)/bin/python benchmarks/real_files.py $(DATA)
	$(VENV)/bin/python benchmarks/simplify.py $(DATA)
	$(VENV)/bin/python benchmarks/blocks.py --scratch out/blocks
	$(VENV)/bin/python benchmarks/cluster_simulation.py --scratch out/cluster
	$(VENV)/bin/python benchmarks/cluster_faults.py --scratch out/faults
	$(VENV)/bin/python benchmarks/sharding.py $(DATA)/fox_colmap --scratch out/sharding
	$(VENV)/bin/sfumato train $(DATA)/south_building -o out/building --minutes 5
	$(VENV)/bin/python benchmarks/many_pictures.py out/building --scratch out/many_pictures

# The documentation as a site: out/site/index.html, which opens from the disk too.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet
	@echo "The site: out/site/index.html"

clean:
	rm -rf $(VENV) out

# A stamp per set of packages: installed again only when its inputs change.
$(VENV)/.run: $(INPUTS) | $(VENV)
	$(INSTALL) -e .
	@touch $@

$(VENV)/.test: $(INPUTS) | $(VENV)
	$(INSTALL) -e '.[test]'
	@touch $@ $(VENV)/.run

$(VENV)/.docs: $(INPUTS) | $(VENV)
	$(INSTALL) -e '.[docs]'
	@touch $@ $(VENV)/.run

$(VENV):
	$(PYTHON) -m venv $(VENV)
