#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# sed, awk, sort, cut, tr, diff.
seq 1 100 | awk '{ s += $1; if ($1 % 10 == 0) print $1, s } END { print "sum", s }'
printf 'b 2\na 1\nc 3\n' | sort | awk '{ print $2 $1 }' | paste -s -d, -
printf 'one\ntwo\nthree\n' > /tmp/x; sed -n '2p;$p' /tmp/x; sed -i 's/two/2/' /tmp/x; cat /tmp/x
printf 'one\n2\nfour\n' > /tmp/y; diff /tmp/x /tmp/y | grep '^[<>]'
awk 'BEGIN { while (("echo a; echo b" | getline l) > 0) print "got", l; close("x"); print length("hello"), substr("hello", 2, 3) }'
awk 'BEGIN { for (i = 0; i < 20000; i++) a[i % 97] += i; print a[13] }'
echo 'a:b:c' | cut -d: -f2; echo abc | rev; seq 5 | tac | tr '\n' ' '; echo
sort -u -n <<EOF
3
1
3
2
EOF
md5sum /bin/busybox | wc -w; expr 7 \* 6; basename /a/b/c.txt .txt; dirname /a/b/c
