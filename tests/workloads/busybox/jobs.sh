#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Background jobs, wait, kill, traps.
(sleep 0.2; echo slow) &
echo fast
wait
sleep 100 & p=$!
kill $p; wait $p 2> /dev/null; echo "killed: $?"
trap 'echo got USR1' USR1
trap 'echo bye' EXIT
kill -USR1 $$
(trap 'echo child TERM; exit 3' TERM; kill -TERM $(sh -c 'echo $PPID'); echo not reached)
echo "child: $?"
for i in 1 2 3 4 5; do (exit $i) & wait $!; echo "job $i: $?"; done
sh -c 'kill -9 $$'; echo "signal: $?"
