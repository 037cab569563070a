#!/bin/sh
# timeout: 60
# SPDX-License-Identifier: Apache-2.0
# A static program from Debian's Go (hello.go, built by tools/mkrootfs-go).
/go/hello; echo "status $?"
