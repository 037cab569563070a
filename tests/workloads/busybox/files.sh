#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Files, directories, links, permissions, find.
cd /root; mkdir -p d/e/f; cd d
echo data > e/one; cp e/one e/two; mv e/two e/f/three; ln -s e/one link; ln e/one hard
ls -1; cat link; stat -c '%h %s %F' e/one; readlink link
chmod 640 e/one; stat -c '%a' hard; touch -d '2020-01-02 03:04:05' e/one; stat -c '%Y' e/one
find . | sort; find . -type f -name 'o*'; find . -type l
rm e/one; cat hard; cat link 2>&1
rmdir e 2>&1; rm -r e; ls; mkfifo fifo; (echo through > fifo) & cat fifo; wait
truncate -s 100000 sparse; stat -c '%s' sparse; df . >/dev/null && echo df
cd ..; rm -rf d; ls -A | wc -l
for i in $(seq 1 300); do echo $i > file$i; done; ls | wc -l; cat file* | sort -n | tail -n 1; rm -f file*
umask 077; touch secret; stat -c '%a' secret
mkdir t; cd t; pwd; cd -; rmdir t; [ -e t ] || echo gone
