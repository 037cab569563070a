# SPDX-License-Identifier: Apache-2.0
# Fuzz targets: tests/fuzz/fuzz_<name>.c for libFuzzer (clang). FUZZ_<name> lists the sources beside
# base/ that it links; FUZZ_SEEDS_<name> names a program that writes a first corpus to a folder.
FUZZ_NAMES := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SECONDS ?= 60
FUZZ_CORPUS ?= .cache/fuzz

FUZZ_LIBS_elf := -lcapstone
FUZZ_elf := $(PATCH_MM_SRCS) sentry/mm/mm.c sentry/mm/vma.c sentry/mm/area.c sentry/loader/elf.c \
	sentry/loader/script.c sentry/loader/stack.c sentry/loader/creds.c sentry/loader/load.c
FUZZ_SEEDS_elf := tests/fuzz/seeds_elf
FUZZ_gofer := $(GOFER_SERVER_SRCS)
FUZZ_patch := $(PATCH_SRCS)
FUZZ_LIBS_patch := -lcapstone
FUZZ_SEEDS_patch := tests/fuzz/seeds_patch

define fuzz_rule
out/fuzz/$(1): tests/fuzz/fuzz_$(1).c $(FUZZ_$(1)) $(wildcard base/*.c)
	@mkdir -p $$(@D)
	@echo '  FUZZ    $$@'
	@clang $(CFLAGS_COMMON) -O1 -DDEBUG -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined -o $$@ $$^ -lunwind $$(FUZZ_LIBS_$(1))

.PHONY: fuzz-$(1)
fuzz-$(1): out/fuzz/$(1)
	@mkdir -p $(FUZZ_CORPUS)/$(1)
	@$(if $(FUZZ_SEEDS_$(1)),$(FUZZ_SEEDS_$(1)) $(FUZZ_CORPUS)/$(1),true)
	@cd $(FUZZ_CORPUS) && $$(abspath out/fuzz/$(1)) -max_total_time=$(FUZZ_SECONDS) \
		-max_len=8192 -print_final_stats=1 $(1)
endef
$(foreach f,$(FUZZ_NAMES),$(eval $(call fuzz_rule,$(f))))

.PHONY: fuzz
fuzz: $(FUZZ_NAMES:%=fuzz-%) ## libFuzzer on each target for FUZZ_SECONDS (60)
