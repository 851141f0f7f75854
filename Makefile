# make drill   lose each store of a real local stack, bring it back, compare with what was acknowledged
# make test    all tests, those on real servers included
# make bench   measurements beside a peer
# Each first installs what is missing and builds; a second call does neither again.
BUILD ?= build
JOBS ?= $(shell nproc)

.PHONY: drill test bench build setup format clean

drill: build
	python3 drills/run.py --report drill-report.json

test: build
	python3 tests/run --build $(BUILD)

bench: build
	python3 bench/run.py

build: setup
	@test -f $(BUILD)/build.ninja || \
	  cmake -S . -B $(BUILD) -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo
	@cmake --build $(BUILD) -- -j$(JOBS)

setup:
	@stack/setup

format:
	find src stack tests bench drills fuzz \( -name '*.cpp' -o -name '*.hpp' \) -print0 2>/dev/null | \
	  xargs -0 --no-run-if-empty clang-format-19 -i

clean:
	rm -rf $(BUILD)
