#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Here-documents, functions, arithmetic, case, loops.
name=guest
cat <<EOF
hello $name, $((6 * 7))
EOF
cat <<'EOF'
raw $name
EOF
f() { echo "f: $# $*"; return 4; }
f a b c; echo $?
for w in one two three; do case $w in t*) echo "t-word $w";; *) echo "other $w";; esac; done
i=0; while [ $i -lt 5 ]; do i=$((i + 1)); [ $i = 3 ] && continue; echo $i; done
set -- x y z; shift; echo "$@"
printf '%05d|%-5s|%x\n' 42 ab 255
read a b <<EOF
first second third
EOF
echo "$b/$a"
