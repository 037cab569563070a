# SPDX-License-Identifier: Apache-2.0
# Compat tests: tests/compat/<name>.c, a static program each (compat.h says how they are written).
# They pass bad arguments on purpose, hence the warnings that are off.
COMPAT_NAMES := $(patsubst tests/compat/%.c,%,$(wildcard tests/compat/*.c))
COMPAT_PROGRAMS := $(COMPAT_NAMES:%=$(O)/tests/compat/%)

$(COMPAT_PROGRAMS): $(O)/tests/compat/%: tests/compat/%.c tests/compat/compat.h
	@mkdir -p $(@D)
	@echo '  CC      $<'
	@gcc -std=gnu17 -O1 -g -Wall -Wextra -Werror -D_GNU_SOURCE -fno-strict-aliasing -pthread \
		-Wno-stringop-overflow -Wno-stringop-overread -Wno-nonnull -Wno-format-truncation \
		-static -o $@ $<

.PHONY: compat
compat: $(COMPAT_PROGRAMS)
