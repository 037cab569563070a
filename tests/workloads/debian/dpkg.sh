#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# dpkg, apt's caches, find over /usr, tar and gzip of a real tree.
dpkg -l | wc -l; dpkg -s bash | head -n 3; dpkg -S /bin/bash; dpkg --verify bash; echo $?
find /usr/share -type f | sort | md5sum; find /etc -maxdepth 1 -type d | sort | head -n 5
tar cf /tmp/u.tar -C /usr/share/perl5 . ; tar tf /tmp/u.tar | wc -l; mkdir /root/x; tar xf /tmp/u.tar -C /root/x
(cd /usr/share/perl5; find . -type f | sort | xargs md5sum | md5sum); (cd /root/x; find . -type f | sort | xargs md5sum | md5sum)
gzip -c /tmp/u.tar | gunzip -c | cmp - /tmp/u.tar && echo equal; xz -0 -c /tmp/u.tar 2>/dev/null | xz -dc | md5sum | wc -w
grep -rl 'package' /usr/share/perl5/Debconf 2>/dev/null | wc -l; du -s /root/x | wc -w; rm -rf /root/x; ls /root | wc -l
