#!/bin/bash
# timeout: 120
# SPDX-License-Identifier: Apache-2.0
cd /root
cat > hello.c <<'EOF'
#include <stdio.h>
#include <pthread.h>
static void *f(void *a) { printf("thread %ld\n", (long)a); return 0; }
int main(int argc, char **argv)
{
	pthread_t t;
	for (long i = 0; i < 4; i++) { pthread_create(&t, 0, f, (void *)i); pthread_join(t, 0); }
	printf("hello %d %s\n", argc, argv[1]);
	return 42;
}
EOF
gcc -Wall -O2 -pthread hello.c && ./a.out world; echo "status $?"
gcc -static -O1 -pthread -o static hello.c && ./static again; echo "status $?"
gcc -S -o - -x c - <<< 'int x;' | grep -c globl
echo 'int main(void) { return x; }' | gcc -x c - 2>&1 | grep -c undeclared
printf 'all: a b\na:\n\t@echo making a\nb: a\n\t@echo making b\n' > Makefile; make; make -j4 -s all | sort
