#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# bash: arrays, process substitution, coprocesses, job control, here-strings.
declare -A m=([a]=1 [b]=2); for k in $(printf '%s\n' "${!m[@]}" | sort); do echo "$k=${m[$k]}"; done
a=(x y z); echo "${a[@]:1}" "${#a[@]}"
diff <(seq 1 5) <(seq 2 6); cat <<< "here string"
coproc CAT { cat; }; echo through >&"${CAT[1]}"; read -r l <&"${CAT[0]}"; echo "$l"; exec {CAT[1]}>&-; wait
set -m; sleep 30 & p=$!; jobs | tail -n 1 | awk '{ print $2 }'; kill $p; wait $p 2>/dev/null; echo "s $?"
mapfile -t lines < <(printf '%s\n' 1 2 3); echo "${lines[2]}"
[[ abc =~ ^a(.)c$ ]] && echo "${BASH_REMATCH[1]}"; printf '%q\n' "a b'c"
time_out=$( { timeout 0.3 sleep 10; echo $?; } ); echo "$time_out"
for i in {1..200}; do /bin/true || echo bad; done; echo done
seq 1 100000 | tail -n +50000 | (head -n 1; cat > /dev/null)
exec 3> /tmp/three; echo to three >&3; exec 3>&-; cat /tmp/three
(ulimit -n 50; ulimit -n); type -t cd ls
