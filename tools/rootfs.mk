# SPDX-License-Identifier: Apache-2.0
##@ Root file systems for tests and the demo (as root, in $(CACHE))
.PHONY: rootfs rootfs-busybox rootfs-debian
rootfs: rootfs-busybox rootfs-debian ## both
rootfs-busybox: $(CACHE)/rootfs-busybox/.made ## busybox-static with all its applets
rootfs-debian: $(CACHE)/rootfs-debian/.made ## debootstrap minbase with tools/debian-packages.txt

$(CACHE)/rootfs-busybox/.made: tools/mkrootfs-busybox
	@tools/mkrootfs-busybox $(@D)
$(CACHE)/rootfs-debian/.made: tools/mkrootfs-debian tools/debian-packages.txt
	@tools/mkrootfs-debian $(@D) tools/debian-packages.txt
