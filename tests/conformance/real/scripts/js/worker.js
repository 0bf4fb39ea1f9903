// SPDX-License-Identifier: Apache-2.0
// One worker of workers.js.
import * as os from "os";

const parent = os.Worker.parent;

function isPrime(n) {
    for (let i = 2; i * i <= n; i++) {
        if (n % i == 0) {
            return false;
        }
    }
    return n > 1;
}

parent.onmessage = (event) => {
    const job = event.data;
    const counters = new Int32Array(job.shared);
    for (let i = 0; i < job.rounds; i++) {
        Atomics.add(counters, 0, 1);
        Atomics.xor(counters, 1, i);
    }
    const primes = [];
    for (let n = job.index; n < job.limit; n += job.workers) {
        if (isPrime(n)) {
            primes.push(n);
        }
    }
    parent.postMessage({ index: job.index, primes });
    parent.onmessage = null;
};
