#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
. /macro/lib.sh
row 'shell, 1000 x /bin/true' repeat 1000 /bin/true
