# Unit tests: tests/unit/test_<name>.c, a cmocka program each. UNIT_<name> lists the sources beside
# base/ that it links.
UNIT_TESTS := $(patsubst tests/unit/test_%.c,%,$(wildcard tests/unit/test_*.c))
BASE_SRCS := $(wildcard base/*.c)

define unit_rule
$(O)/tests/unit/$(1): $(O)/tests/unit/test_$(1).o $$(BASE_SRCS:%.c=$(O)/%.o) $$(UNIT_$(1):%.c=$(O)/%.o)
	@echo '  LD      $$@'
	@$$(CC) $$(CFLAGS_ALL) $$(filter-out -static-pie,$$(LDFLAGS_MODE)) -pie -o $$@ $$^ $$(UNIT_LIBS_$(1)) -lcmocka
endef
$(foreach t,$(UNIT_TESTS),$(eval $(call unit_rule,$(t))))

unit: $(UNIT_TESTS:%=$(O)/tests/unit/%)
	@for t in $(UNIT_TESTS); do timeout 60 $(O)/tests/unit/$$t || exit 1; done

-include $(UNIT_TESTS:%=$(O)/tests/unit/test_%.d)
