#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
. /macro/lib.sh

# 2000 commits of one row and one of 50000: without waiting for the disk, which is the host's.
inserts() {
	{
		echo 'PRAGMA synchronous=OFF; CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);'
		i=0
		while [ $i -lt 2000 ]; do
			echo "INSERT INTO t (v) VALUES ('value $i');"
			i=$((i + 1))
		done
		echo 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)'
		echo "INSERT INTO t (v) SELECT 'value ' || i FROM n;"
	} | sqlite3 /bench.db
}

row 'node start-up, 5 x' repeat 5 node -e 0
row 'sqlite inserts' inserts
row 'gcc of a large file' gcc -O1 -c -o /tmp/large.o /src/large.c
git config --global --add safe.directory /src/repository
row 'git status, 10 x' repeat 10 git -C /src/repository status
