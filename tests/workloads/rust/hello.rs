// SPDX-License-Identifier: Apache-2.0
// What Rust's standard library asks of a kernel: threads, its own futex locks, channels, files, processes, unix sockets.
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Barrier, Condvar, Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

fn locks() {
    let counter = Arc::new(Mutex::new(0u64));
    let shared = Arc::new(RwLock::new(0u64));
    let barrier = Arc::new(Barrier::new(8));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (counter, shared, barrier) = (counter.clone(), shared.clone(), barrier.clone());
            thread::spawn(move || {
                barrier.wait();
                for i in 0..5000 {
                    *counter.lock().unwrap() += 1;
                    if i % 100 == 0 {
                        *shared.write().unwrap() += *shared.read().map(|_| &1).unwrap();
                    }
                }
            })
        })
        .collect();
    for t in threads {
        t.join().unwrap();
    }
    println!("locks {} {}", counter.lock().unwrap(), shared.read().unwrap());
}

fn waits() {
    let pair = Arc::new((Mutex::new(false), Condvar::new()));
    let other = pair.clone();
    let t = thread::spawn(move || {
        thread::sleep(Duration::from_millis(5));
        *other.0.lock().unwrap() = true;
        other.1.notify_one();
    });
    let mut ready = pair.0.lock().unwrap();
    while !*ready {
        ready = pair.1.wait(ready).unwrap();
    }
    drop(ready);
    t.join().unwrap();
    let began = Instant::now();
    let guard = pair.0.lock().unwrap();
    let (_guard, result) = pair.1.wait_timeout(guard, Duration::from_millis(20)).unwrap();
    println!("waits {} {}", result.timed_out(), began.elapsed() >= Duration::from_millis(20));
}

fn channels() {
    let (to, from) = mpsc::sync_channel(4);
    let t = thread::spawn(move || (0..10000u64).for_each(|i| to.send(i).unwrap()));
    println!("channels {}", from.iter().sum::<u64>());
    t.join().unwrap();
}

fn files() -> std::io::Result<()> {
    fs::create_dir_all("/tmp/rust/a/b")?;
    for i in 0..100 {
        fs::write(format!("/tmp/rust/a/b/{i}"), vec![b'x'; i])?;
    }
    let total: u64 = fs::read_dir("/tmp/rust/a/b")?.map(|e| e.unwrap().metadata().unwrap().len()).sum();
    fs::rename("/tmp/rust/a", "/tmp/rust/c")?;
    println!("files {} {}", total, fs::read_to_string("/tmp/rust/c/b/3")?);
    fs::remove_dir_all("/tmp/rust")?;
    println!("gone {}", fs::metadata("/tmp/rust").unwrap_err().kind() == std::io::ErrorKind::NotFound);
    Ok(())
}

fn processes() -> std::io::Result<()> {
    let mut child = Command::new("sh")
        .args(["-c", "while read x; do echo \"<$x>\"; done; exit 4"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child.stdin.take().unwrap().write_all(b"one\ntwo\n")?;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        println!("child {}", line?);
    }
    println!("status {:?}", child.wait()?.code());
    println!("missing {:?}", Command::new("/nonexistent").status().unwrap_err().kind());
    Ok(())
}

fn sockets() -> std::io::Result<()> {
    let (mut a, mut b) = UnixStream::pair()?;
    let t = thread::spawn(move || {
        let mut text = String::new();
        b.read_to_string(&mut text).unwrap();
        text.len()
    });
    for _ in 0..100 {
        a.write_all(&[b'y'; 5000])?;
    }
    drop(a);
    println!("sockets {}", t.join().unwrap());
    Ok(())
}

fn main() {
    locks();
    waits();
    channels();
    files().unwrap();
    processes().unwrap();
    sockets().unwrap();
    let r = thread::spawn(|| -> u32 { panic!("on purpose") }).join();
    println!("a panic ends its thread: {}", r.is_err());
    std::process::exit(6);
}
