#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
. /macro/lib.sh
export FORCE_UNSAFE_CONFIGURE=1
cd /src/project
row 'configure' ./configure
row 'make -j2' make -j2
