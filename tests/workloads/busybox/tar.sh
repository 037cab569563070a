#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Archives: round trips with equal checksums.
cd /root; mkdir src; cp /bin/busybox src/bb; seq 1 50000 > src/numbers; ln -s numbers src/link; mkdir src/empty
tar cf a.tar src; tar tf a.tar | sort; mkdir out; tar xf a.tar -C out
(cd src; find . -type f | sort | xargs md5sum) > m1; (cd out/src; find . -type f | sort | xargs md5sum) > m2
cmp m1 m2 && echo same; readlink out/src/link
tar czf a.tgz src; gzip -dc a.tgz | tar tf - | wc -l; gzip -9 src/numbers; gunzip src/numbers.gz; md5sum < src/numbers
cpio -o -H newc < /dev/null 2>/dev/null | wc -c | grep -q . && echo cpio
