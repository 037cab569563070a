#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Interpreters that start, and programs that walk over many files.
. /macro/lib.sh

search() {
	find /usr -xdev -name '*.h' -size +1k
	grep -rc include /usr/include
}

row 'python start-up, 20 x' repeat 20 python3 -c pass
row 'find /usr, grep -r' search
