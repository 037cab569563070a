#!/bin/bash
# timeout: 120
# SPDX-License-Identifier: Apache-2.0
python3 - <<'EOF'
import threading, subprocess, json, sqlite3, os, tempfile, hashlib, queue, time, select, signal, mmap, shutil, zlib, glob
q = queue.Queue()
def worker(i):
    for j in range(100): q.put((i, j))
ts = [threading.Thread(target=worker, args=(i,)) for i in range(20)]
[t.start() for t in ts]; [t.join() for t in ts]
print(q.qsize())
lock = threading.Lock(); n = 0
def add():
    global n
    for _ in range(2000):
        with lock: n += 1
ts = [threading.Thread(target=add) for _ in range(8)]
[t.start() for t in ts]; [t.join() for t in ts]
print(n)
print(subprocess.run(["sh", "-c", "echo out; echo err >&2; exit 5"], capture_output=True))
p = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
out, _ = p.communicate(b"x" * 300000); print(len(out), hashlib.md5(out).hexdigest())
try: subprocess.run(["sleep", "10"], timeout=0.2)
except subprocess.TimeoutExpired: print("timeout")
d = {"a": [1, 2.5, None, True], "b": {"c": "ü"}}; assert json.loads(json.dumps(d)) == d; print(json.dumps(d))
db = sqlite3.connect("/root/t.db"); db.execute("create table t(a integer primary key, b text)")
with db: db.executemany("insert into t(b) values(?)", [(str(i),) for i in range(5000)])
print(db.execute("select count(*), sum(a), max(b) from t").fetchone())
db.execute("pragma journal_mode=wal")
with db: db.execute("update t set b = b || 'x' where a % 2 = 0")
print(db.execute("select count(*) from t where b like '%x'").fetchone()); db.close()
pid = os.fork()
if pid == 0: os._exit(9)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
r, w = os.pipe(); os.write(w, b"hi"); print(select.select([r], [], [], 1)[0] == [r], os.read(r, 10))
got = []; signal.signal(signal.SIGUSR1, lambda s, f: got.append(s)); os.kill(os.getpid(), signal.SIGUSR1); time.sleep(0.01); print(got)
with tempfile.TemporaryFile() as f:
    f.write(b"a" * 10000); f.flush()
    m = mmap.mmap(f.fileno(), 10000); m[5] = 66; print(m[:8]); m.close()
m = mmap.mmap(-1, 4096)
if os.fork() == 0:
    m[:5] = b"child"; os._exit(0)
os.wait(); print(m[:5])
print(sorted(os.path.basename(x) for x in glob.glob("/usr/lib/python3*"))[:1], os.cpu_count() > 0)
print(zlib.crc32(open("/usr/bin/python3", "rb").read()) == zlib.crc32(open(shutil.which("python3"), "rb").read()))
import multiprocessing.pool
with multiprocessing.pool.ThreadPool(4) as pool: print(sum(pool.map(lambda x: x * x, range(1000))))
EOF
