# make demo | test | check | docs | lint | format | sanitize | clean
LIB := $(CURDIR)/.local/R
export R_LIBS := $(LIB)$(if $(R_LIBS),:$(R_LIBS))
# A bare system has no locale, and R then cannot print what is not ASCII.
ifeq ($(LC_ALL)$(LC_CTYPE)$(LANG),)
export LC_ALL := C.UTF-8
endif

SOURCES := DESCRIPTION NAMESPACE $(wildcard R/*.R src/*.cpp src/core/*.cpp src/Makevars) \
  $(shell find inst data -type f 2>/dev/null)
HEADERS := $(wildcard src/*.h src/core/*.h)
TARBALL = $(shell sed -n 's/^Package: *//p' DESCRIPTION)_$(shell \
  sed -n 's/^Version: *//p' DESCRIPTION).tar.gz

demo: setup-demo
	@$(MAKE) --no-print-directory install
	Rscript dev/demo.R

test: test-cpp test-r

test-cpp: setup-test
	$(MAKE) -s -j2 -C tests/cpp

test-r: setup-test
	@$(MAKE) --no-print-directory install
	Rscript dev/run-tests.R $(FILTER)

setup-%:
	@dev/setup.sh $*

install: $(LIB)/kinlmm/DESCRIPTION
	@:

$(LIB)/kinlmm/DESCRIPTION: $(SOURCES) .local/headers
	@mkdir -p $(LIB)
	@echo "R CMD INSTALL kinlmm into .local/R (log in .local/install.log)"
	@MAKEFLAGS=-j2 R CMD INSTALL --no-docs --no-test-load --library=$(LIB) . \
	  >.local/install.log 2>&1 || { grep -E -A3 ' error: |\*\*\* |^ERROR' .local/install.log; exit 1; }
	@touch $@

# Objects do not know which headers they were made from.
.local/headers: $(HEADERS)
	@mkdir -p $(@D)
	@./cleanup
	@touch $@

docs: setup-test
	Rscript -e 'Rcpp::compileAttributes()'
	Rscript -e 'roxygen2::roxygenise(load_code = "source")'

build:
	R CMD build .

check: setup-test build
	_R_CHECK_FORCE_SUGGESTS_=false R_MAKEVARS_USER=$(CURDIR)/dev/Makevars.check \
	  R CMD check --as-cran --no-manual $(TARBALL)

lint:
	dev/lint.sh

format:
	clang-format -i src/glue.h $(filter-out src/RcppExports.cpp,$(wildcard src/*.cpp)) \
	  src/core/*.* tests/cpp/*.cpp tests/cpp/*.h

sanitize: setup-test
	$(MAKE) -j2 -C tests/cpp sanitize

clean:
	./cleanup
	$(MAKE) -s -C tests/cpp clean
	rm -rf .local/headers $(LIB)/kinlmm demo-output *.Rcheck *.tar.gz

.PHONY: demo test test-cpp test-r install docs build check lint format sanitize clean
