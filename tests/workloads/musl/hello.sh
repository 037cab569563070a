#!/bin/sh
# timeout: 60
# SPDX-License-Identifier: Apache-2.0
# A static program with musl (hello.c, built by tools/mkrootfs-programs).
/musl/hello; echo "status $?"
