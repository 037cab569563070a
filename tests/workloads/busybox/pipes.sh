#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Pipelines, exit statuses, redirections.
echo hello world | tr a-z A-Z | sed 's/WORLD/there/' | cat
seq 1 1000 | grep 7 | wc -l
seq 1 20000 | sort -r | head -n 3
false | true; echo "status $?"
( exit 7 ); echo "status $?"
yes | head -n 2000 | md5sum
echo one > /tmp/a; echo two >> /tmp/a; cat < /tmp/a
cat /tmp/nothere 2>&1 | sed 's/^/err: /'
x=$(echo nested $(echo deep)); echo "$x"
dd if=/dev/zero bs=1000 count=1000 2>/dev/null | wc -c
