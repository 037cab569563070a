#!/bin/bash
# timeout: 120
# SPDX-License-Identifier: Apache-2.0
# Node.js: libuv's thread pool and epoll, timers, V8's own threads and code, child processes, workers, streams.
cd /root
cat > hello.js <<'JS'
const fs = require('fs'), path = require('path'), { spawn, execSync } = require('child_process');
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const net = require('net'), zlib = require('zlib'), crypto = require('crypto');

if (!isMainThread) {
	let sum = 0;
	for (let i = 0; i < 1e6; i++) sum += i % workerData;
	parentPort.postMessage(sum);
	return;
}

const hot = n => { let s = 0; for (let i = 0; i < n; i++) s = (s * 31 + i) | 0; return s; };

async function main() {
	console.log('hot', hot(3e6));
	await new Promise(r => setTimeout(r, 20));
	fs.mkdirSync('tree/a/b', { recursive: true });
	await Promise.all([...Array(50).keys()].map(i => fs.promises.writeFile(`tree/a/b/${i}`, 'x'.repeat(i))));
	const sizes = await Promise.all((await fs.promises.readdir('tree/a/b')).map(n => fs.promises.stat(path.join('tree/a/b', n))));
	console.log('files', sizes.reduce((s, st) => s + st.size, 0));
	fs.rmSync('tree', { recursive: true });
	console.log('gone', !fs.existsSync('tree'));

	console.log('exec', execSync('echo from a child; exit 0').toString().trim());
	const child = spawn('sh', ['-c', 'cat; exit 5'], { stdio: ['pipe', 'pipe', 'inherit'] });
	let text = '';
	child.stdout.on('data', d => text += d);
	child.stdin.end('through a child');
	console.log('child', await new Promise(r => child.on('close', code => r(code + ' ' + text))));

	const sums = await Promise.all([7, 11, 13].map(n => new Promise((ok, bad) => {
		const w = new Worker(__filename, { workerData: n });
		w.on('message', ok); w.on('error', bad);
	})));
	console.log('workers', sums.join(' '));

	const packed = await new Promise((ok, bad) => zlib.gzip(Buffer.alloc(1e6, 'abc'), (e, b) => e ? bad(e) : ok(b)));
	console.log('gzip', zlib.gunzipSync(packed).length);
	console.log('hash', crypto.createHash('sha256').update('x').digest('hex').slice(0, 16));
	console.log('pbkdf2', await new Promise(r => crypto.pbkdf2('a', 'b', 1000, 8, 'sha256', (e, k) => r(k.toString('hex')))));

	const server = net.createServer(s => s.on('data', d => s.end(d.toString().toUpperCase())));
	await new Promise(r => server.listen('/tmp/node.sock', r));
	console.log('socket', await new Promise(r => net.connect('/tmp/node.sock').on('data', d => r(d.toString())).write('shout')));
	server.close();

	process.on('SIGUSR2', () => { console.log('signal'); process.exit(3); });
	process.kill(process.pid, 'SIGUSR2');
	setInterval(() => {}, 1000);
}
main();
JS
node hello.js; echo "status $?"
