#!/bin/sh
# timeout: 60
# SPDX-License-Identifier: Apache-2.0
# A static Rust program (hello.rs, built by tools/mkrootfs-programs). A panic's message names the thread by its id.
/rust/hello 2>/dev/null; echo "status $?"
