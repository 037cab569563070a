# SPDX-License-Identifier: Apache-2.0
##@ Root file systems for tests and the demo (as root, in $(CACHE))
.PHONY: rootfs rootfs-busybox rootfs-debian rootfs-go rootfs-java
rootfs: rootfs-busybox rootfs-debian rootfs-go rootfs-java ## all of them
rootfs-busybox: $(CACHE)/rootfs-busybox/.made ## busybox-static with all its applets
rootfs-debian: $(CACHE)/rootfs-debian/.made ## debootstrap minbase with tools/debian-packages.txt
rootfs-go: $(CACHE)/rootfs-go/.made ## busybox and the Go programs of tests/workloads/go
rootfs-java: $(CACHE)/rootfs-java/.made ## debootstrap minbase with tools/java-packages.txt

$(CACHE)/rootfs-busybox/.made: tools/mkrootfs-busybox
	@tools/mkrootfs-busybox $(@D)
$(CACHE)/rootfs-debian/.made: tools/mkrootfs-debian tools/debian-packages.txt
	@tools/mkrootfs-debian $(@D) tools/debian-packages.txt
$(CACHE)/rootfs-java/.made: tools/mkrootfs-debian tools/java-packages.txt
	@tools/mkrootfs-debian $(@D) tools/java-packages.txt

GO_PROGRAMS := $(wildcard tests/workloads/go/*.go)
$(CACHE)/rootfs-go/.made: $(CACHE)/rootfs-busybox/.made tools/mkrootfs-go $(GO_PROGRAMS)
	@tools/mkrootfs-go $(CACHE)/rootfs-busybox $(@D) $(GO_PROGRAMS)
