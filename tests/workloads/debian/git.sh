#!/bin/bash
# timeout: 120
# SPDX-License-Identifier: Apache-2.0
cd /root; export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
git config --global user.email a@b.c; git config --global user.name N; git config --global init.defaultBranch main
git init -q r; cd r; for i in $(seq 1 100); do echo "file $i" > f$i; done
git add .; git commit -qm first; git log --oneline; git status --short | wc -l
echo change >> f1; git rm -q f2; git mv f3 g3; git commit -qam second; git log --format='%H %s'
git diff HEAD~1 --stat | tail -n 1; git checkout -q -b side HEAD~1; echo side > s; git add s; git commit -qm side
git merge -q main -m merged; git log --oneline --graph | wc -l; git fsck 2>&1 | tail -n 1; git gc -q; git count-objects | cut -d' ' -f1
git clone -q . ../clone; ls ../clone | wc -l; cd ../clone; git log -1 --format=%s
