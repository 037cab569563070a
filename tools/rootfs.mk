# SPDX-License-Identifier: Apache-2.0
##@ Root file systems for tests and the demo (as root, in $(CACHE))
PROGRAM_LANGUAGES := go musl rust
ROOTFSES := busybox debian java node $(PROGRAM_LANGUAGES)
.PHONY: rootfs rootfs-bench $(ROOTFSES:%=rootfs-%)
rootfs: $(ROOTFSES:%=rootfs-%) ## all of them
rootfs-busybox: $(CACHE)/rootfs-busybox/.made ## busybox-static with all its applets
rootfs-debian: $(CACHE)/rootfs-debian/.made ## debootstrap minbase with tools/debian-packages.txt
$(PROGRAM_LANGUAGES:%=rootfs-%): rootfs-%: $(CACHE)/rootfs-%/.made ## busybox and the programs of tests/workloads/LANGUAGE
rootfs-java: $(CACHE)/rootfs-java/.made ## debootstrap minbase with tools/java-packages.txt
rootfs-node: $(CACHE)/rootfs-node/.made ## debootstrap minbase with tools/node-packages.txt
rootfs-bench: $(CACHE)/rootfs-bench/.made ## for make bench: debootstrap minbase with tools/bench-packages.txt, sources

$(CACHE)/rootfs-busybox/.made: tools/mkrootfs-busybox
	@tools/mkrootfs-busybox $(@D)
$(CACHE)/rootfs-debian/.made: tools/mkrootfs-debian tools/debian-packages.txt
	@tools/mkrootfs-debian $(@D) tools/debian-packages.txt
$(CACHE)/rootfs-bench/.made: tools/mkrootfs-bench tools/bench-packages.txt
	@tools/mkrootfs-bench $(@D) tools/bench-packages.txt hello
$(CACHE)/rootfs-java/.made $(CACHE)/rootfs-node/.made: $(CACHE)/rootfs-%/.made: tools/mkrootfs-debian tools/%-packages.txt
	@tools/mkrootfs-debian $(@D) tools/$*-packages.txt

define PROGRAMS_RULE
$$(CACHE)/rootfs-$(1)/.made: $$(CACHE)/rootfs-busybox/.made tools/mkrootfs-programs \
		$$(filter-out %.sh,$$(wildcard tests/workloads/$(1)/*))
	@tools/mkrootfs-programs $$(CACHE)/rootfs-busybox $$(@D) $(1) $$(filter-out %.sh,$$(wildcard tests/workloads/$(1)/*))
endef
$(foreach language,$(PROGRAM_LANGUAGES),$(eval $(call PROGRAMS_RULE,$(language))))
