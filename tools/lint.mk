# SPDX-License-Identifier: Apache-2.0
##@ Checking the source
C_FILES := $(shell git ls-files -co --exclude-standard -- '*.c' '*.h' 2>/dev/null)
FORMAT_FILES := $(filter-out syscalls/table.h,$(C_FILES))

.PHONY: lint
lint: docs-current ## floors, sizes, licence lines, format, generated documents
	@tools/check-includes $(C_FILES)
	@tools/check-source $$(git ls-files -co --exclude-standard)
	@clang-format --dry-run -Werror $(FORMAT_FILES)
	@echo 'lint: clean ($(words $(C_FILES)) files)'

.PHONY: format
format: ## clang-format all files
	@clang-format -i $(FORMAT_FILES)

.PHONY: tidy
tidy: ## clang-tidy (.clang-tidy says which checks; slow)
	@clang-tidy --quiet $(SRCS) -- $(filter-out -Werror,$(CFLAGS_COMMON)) -DDEBUG -DSTUB_ELF='"/dev/null"'

GEN_DOCS := $(O)/tools/gen-docs
$(GEN_DOCS): $(O)/tools/gen-docs.o $(O)/libcvisor.a
	@echo '  LD      $@'
	@$(CC) $(CFLAGS_ALL) $(filter-out -static-pie,$(LDFLAGS_MODE)) -pie -o $@ $^ \
		-Wl,--as-needed $(filter-out -l:libjemalloc_pic.a,$(LIBS))
-include $(O)/tools/gen-docs.d

# What call-site patching does with a file (docs/platform.md): $(O)/tools/patch-sites [-v] FILE...
$(O)/tools/patch-sites: $(O)/tools/patch-sites.o $(O)/libcvisor.a
	@echo '  LD      $@'
	@$(CC) $(CFLAGS_ALL) $(filter-out -static-pie,$(LDFLAGS_MODE)) -pie -o $@ $^ \
		-Wl,--as-needed $(filter-out -l:libjemalloc_pic.a,$(LIBS))

.PHONY: docs docs-current
docs: $(GEN_DOCS) ## bring generated documents up to date: docs/compatibility.md, tables in security.md
	@tools/update-docs $(GEN_DOCS)
docs-current: $(GEN_DOCS)
	@tools/update-docs --check $(GEN_DOCS)
