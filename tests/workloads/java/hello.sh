#!/bin/bash
# timeout: 120
# SPDX-License-Identifier: Apache-2.0
# OpenJDK: compiles and runs a program with threads.
cd /root
cat > Hello.java <<'JAVA'
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;

public class Hello {
	static int counter;

	static synchronized void count() {
		counter++;
	}

	public static void main(String[] args) throws Exception {
		List<Thread> threads = new ArrayList<>();
		for (int i = 0; i < 10; i++) {
			Thread t = new Thread(() -> { for (int j = 0; j < 1000; j++) count(); });
			threads.add(t);
			t.start();
		}
		for (Thread t : threads)
			t.join();
		System.out.println("counter " + counter);
		ExecutorService pool = Executors.newFixedThreadPool(4);
		Future<Integer> sum = pool.submit(() -> { int s = 0; for (int i = 0; i < 100; i++) s += i; return s; });
		System.out.println("sum " + sum.get());
		pool.shutdown();
		System.out.println("ended " + pool.awaitTermination(10, TimeUnit.SECONDS));
		Path p = Path.of("/root/java-file");
		Files.writeString(p, "written by Java\n");
		System.out.print(Files.readString(p));
		try {
			String s = args.length > 5 ? "" : null;
			System.out.println(s.length());
		} catch (NullPointerException e) {
			System.out.println("a null pointer (a SIGSEGV underneath, once compiled)");
		}
		byte[][] garbage = new byte[100][];
		for (int i = 0; i < 2000; i++)
			garbage[i % 100] = new byte[100000];
		System.gc();
		Process child = new ProcessBuilder("sh", "-c", "echo from a child; exit 4").inheritIO().start();
		System.out.println("child " + child.waitFor());
		System.exit(3);
	}
}
JAVA
javac Hello.java && java -Xmx256m Hello; echo "status $?"
