# SPDX-License-Identifier: Apache-2.0
# What the macro rows share: `row NAME COMMAND...` runs the command and prints its row.
set -eu
export HOME=/tmp LC_ALL=C

row() {
	name=$1
	shift
	start=$(date +%s%N)
	"$@" >/tmp/out 2>&1 || {
		status=$?
		echo "$name: exit $status" >&2
		tail -n 5 /tmp/out >&2
		exit 1
	}
	end=$(date +%s%N)
	printf '%s\t%d\n' "$name" $((end - start))
}

repeat() {
	count=$1
	shift
	i=0
	while [ "$i" -lt "$count" ]; do
		"$@"
		i=$((i + 1))
	done
}
