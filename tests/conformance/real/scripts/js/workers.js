// SPDX-License-Identifier: Apache-2.0
// Four workers count in shared memory with atomic operations, and search for primes by message.
import * as os from "os";

const WORKERS = 4, ROUNDS = 5000, LIMIT = 20000;
const shared = new SharedArrayBuffer(64);
const counters = new Int32Array(shared);
const results = new Map();
let finished = 0;

for (let index = 0; index < WORKERS; index++) {
    const worker = new os.Worker("./worker.js");
    worker.onmessage = (event) => {
        const message = event.data;
        results.set(message.index, message.primes);
        worker.onmessage = null;
        finished += 1;
        if (finished == WORKERS) {
            report();
        }
    };
    worker.postMessage({ index, workers: WORKERS, rounds: ROUNDS, limit: LIMIT, shared });
}

function report() {
    const all = [...results.entries()].sort((a, b) => a[0] - b[0]);
    for (const [index, primes] of all) {
        console.log(index, primes.length, primes[0], primes[primes.length - 1]);
    }
    const sum = all.reduce((total, [, primes]) => total + primes.reduce((a, b) => a + b, 0), 0);
    console.log("sum", sum, "counter", Atomics.load(counters, 0), "xor", Atomics.load(counters, 1));
}
