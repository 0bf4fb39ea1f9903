// SPDX-License-Identifier: Apache-2.0

//! What Rust's standard library asks of a system: threads with names and thread locals, channels,
//! locks, unwinding on every thread, time, files.
//!
//!     threads STATUS     all cases, then ends with STATUS
//!     threads panic      ends by a panic of the first thread
//!     threads abort      ends by a panic while another one unwinds
//!     threads overflow   ends because the guard page of a thread's stack was touched
//!
//! Every line depends on the program alone, so a run on Linux prints the same.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, TrySendError};
use std::sync::{Arc, Barrier, Condvar, Mutex, Once, RwLock};
use std::thread;
use std::time::{Duration, Instant};

extern "C" {
    fn sched_getcpu() -> i32;
    fn sched_setaffinity(pid: i32, bytes: usize, mask: *const u64) -> i32;
}

fn cores() -> usize {
    thread::available_parallelism().unwrap().get()
}

/// A thread for each core, moved there: all of them meet, then each core has been seen.
fn every_core() {
    let barrier = Arc::new(Barrier::new(cores()));
    let threads: Vec<_> = (0..cores())
        .map(|core| {
            let barrier = barrier.clone();
            thread::spawn(move || {
                let mask = 1u64 << core;
                assert_eq!(unsafe { sched_setaffinity(0, 8, &mask) }, 0);
                let leads = barrier.wait().is_leader();
                (leads, unsafe { sched_getcpu() } as usize == core)
            })
        })
        .collect();
    let seen: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
    println!(
        "every core was seen: {}, one leads: {}",
        seen.iter().all(|s| s.1),
        seen.iter().filter(|s| s.0).count()
    );
}

fn channels() {
    let (sender, receiver) = mpsc::channel();
    for id in 0..8u64 {
        let sender = sender.clone();
        thread::Builder::new()
            .name(format!("producer {}", id))
            .spawn(move || (0..1000).for_each(|n| sender.send(id * 1000 + n).unwrap()))
            .unwrap();
    }
    drop(sender);
    println!("channel: {}", receiver.iter().sum::<u64>());

    let (sender, receiver) = mpsc::sync_channel(4);
    (0..4).for_each(|n| sender.send(n).unwrap());
    let is_full = matches!(sender.try_send(9), Err(TrySendError::Full(9)));
    let producer = thread::spawn(move || (4..100).for_each(|n| sender.send(n).unwrap()));
    println!("bounded channel: {} {}", is_full, receiver.iter().take(100).sum::<u64>());
    producer.join().unwrap();
    let ended = receiver.recv_timeout(Duration::from_millis(1));
    println!("disconnected: {}", ended == Err(RecvTimeoutError::Disconnected));
}

fn locks() {
    static STARTED: Once = Once::new();
    static STARTS: AtomicUsize = AtomicUsize::new(0);
    let table = Arc::new(RwLock::new(BTreeMap::new()));
    let total = Arc::new(Mutex::new(0u64));
    thread::scope(|scope| {
        for id in 0..8u64 {
            let (table, total) = (&table, &total);
            scope.spawn(move || {
                STARTED.call_once(|| drop(STARTS.fetch_add(1, Ordering::SeqCst)));
                for n in 0..500 {
                    *total.lock().unwrap() += n;
                    if n % 25 == 0 {
                        table.write().unwrap().insert(id * 500 + n, n);
                    } else {
                        assert!(table.read().unwrap().len() <= 160);
                    }
                }
            });
        }
    });
    let table = table.read().unwrap();
    println!("locks: {} {} {}", total.lock().unwrap(), table.len(), STARTS.load(Ordering::SeqCst));

    let queue = Arc::new((Mutex::new(VecDeque::new()), Condvar::new()));
    let takers: Vec<_> = (0..4)
        .map(|_| {
            let queue = queue.clone();
            thread::spawn(move || {
                let mut taken = 0u64;
                loop {
                    let guard = queue.0.lock().unwrap();
                    let item = queue.1.wait_while(guard, |q: &mut VecDeque<u64>| q.is_empty()).unwrap().pop_front().unwrap();
                    if item == 0 {
                        return taken;
                    }
                    taken += item;
                }
            })
        })
        .collect();
    for n in (1..=1000).chain([0; 4]) {
        queue.0.lock().unwrap().push_back(n);
        queue.1.notify_one();
    }
    println!("condition: {}", takers.into_iter().map(|t| t.join().unwrap()).sum::<u64>());
    let (lock, condition) = (Mutex::new(()), Condvar::new());
    let timeout = condition.wait_timeout_while(lock.lock().unwrap(), Duration::from_millis(20), |_| true);
    println!("condition timed out: {}", timeout.unwrap().1.timed_out());
}

fn poisoned() {
    let lock = Arc::new(Mutex::new(1));
    let other = lock.clone();
    let ended = thread::spawn(move || {
        let _guard = other.lock().unwrap();
        panic!("with the lock");
    })
    .join();
    println!(
        "poisoned: {} {:?} {}",
        lock.is_poisoned(),
        ended.unwrap_err().downcast_ref::<&str>(),
        *lock.lock().unwrap_or_else(|e| e.into_inner())
    );
}

struct CountsDrops<'a>(&'a AtomicUsize);

impl Drop for CountsDrops<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn recurse(depth: usize, drops: &AtomicUsize) -> usize {
    let _counted = CountsDrops(drops);
    if depth == 0 {
        panic::resume_unwind(Box::new(String::from("the bottom")));
    }
    recurse(depth - 1, drops) + 1
}

/// Unwinds on all threads at once, each through 50 frames with something to drop.
fn unwinding() {
    let drops = AtomicUsize::new(0);
    let caught = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..2 * cores() {
            scope.spawn(|| {
                for _ in 0..50 {
                    let result = panic::catch_unwind(AssertUnwindSafe(|| recurse(50, &drops)));
                    if result.unwrap_err().downcast_ref::<String>().unwrap() == "the bottom" {
                        caught.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    let rounds = 100 * cores();
    println!(
        "unwinding: {} {}",
        caught.load(Ordering::SeqCst) == rounds,
        drops.load(Ordering::SeqCst) == 51 * rounds
    );
    let values = vec![1, 2, 3];
    let index = values.len() + cores();
    let bounds = panic::catch_unwind(|| values[index]);
    let division = panic::catch_unwind(|| 1 / (values.len() - 3));
    let overflow = panic::catch_unwind(|| "none".parse::<i32>().unwrap());
    println!("caught: {} {} {}", bounds.is_err(), division.is_err(), overflow.is_err());
}

static LOCAL_DROPS: AtomicU64 = AtomicU64::new(0);

struct Local(Cell<u64>);

impl Drop for Local {
    fn drop(&mut self) {
        LOCAL_DROPS.fetch_add(self.0.get(), Ordering::SeqCst);
    }
}

thread_local! {
    static NUMBER: Local = Local(Cell::new(1));
    static TEXT: RefCell<String> = RefCell::new(String::new());
}

fn thread_locals() {
    let threads: Vec<_> = (0..16u64)
        .map(|id| {
            thread::spawn(move || {
                NUMBER.with(|n| n.0.set(n.0.get() + id));
                for _ in 0..100 {
                    TEXT.with(|t| t.borrow_mut().push('x'));
                    thread::yield_now();
                }
                TEXT.with(|t| t.borrow().len())
            })
        })
        .collect();
    let lengths: usize = threads.into_iter().map(|t| t.join().unwrap()).sum();
    println!("thread locals: {} {}", lengths, LOCAL_DROPS.load(Ordering::SeqCst));
}

fn time() {
    let start = Instant::now();
    let mut last = start;
    for _ in 0..10000 {
        let now = Instant::now();
        assert!(now >= last);
        last = now;
    }
    thread::sleep(Duration::from_millis(30));
    println!("time: {}", start.elapsed() >= Duration::from_millis(30));
    let flag = Arc::new(AtomicBool::new(false));
    let seen = flag.clone();
    let parked = thread::spawn(move || {
        while !seen.load(Ordering::SeqCst) {
            thread::park();
        }
        thread::park_timeout(Duration::from_millis(10));
    });
    flag.store(true, Ordering::SeqCst);
    parked.thread().unpark();
    println!("parked: {}", parked.join().is_ok());
}

fn files() -> io::Result<()> {
    let folder = std::env::temp_dir().join(format!("runtimes{}", std::process::id()));
    fs::create_dir(&folder)?;
    let path = folder.join("numbers");
    let mut file = File::create(&path)?;
    for n in 0..5000 {
        writeln!(file, "{}", n)?;
    }
    drop(file);
    let lines = BufReader::new(File::open(&path)?).lines();
    let sum: u64 = lines.map(|l| l.unwrap().parse::<u64>().unwrap()).sum();
    let mut file = OpenOptions::new().read(true).append(true).open(&path)?;
    file.write_all(b"end")?;
    file.seek(SeekFrom::End(-5))?;
    let mut tail = String::new();
    file.read_to_string(&mut tail)?;
    println!("files: {} {:?} {}", sum, tail, file.metadata()?.len());
    fs::copy(&path, folder.join("copy"))?;
    fs::rename(&path, folder.join("moved"))?;
    let mut names: Vec<_> = fs::read_dir(&folder)?.map(|e| e.unwrap().file_name()).collect();
    names.sort();
    println!("names: {:?}, gone: {:?}", names, fs::metadata(&path).unwrap_err().kind());
    println!("not empty: {:?}", fs::remove_dir(&folder).unwrap_err().raw_os_error());
    fs::remove_dir_all(&folder)
}

fn collections() {
    let mut map = HashMap::new();
    for n in 0..50000u64 {
        *map.entry(n * 2654435761 % 1009).or_insert(0u64) += n;
    }
    let mut values: Vec<_> = map.into_iter().collect();
    values.sort_unstable();
    println!("collections: {} {:?}", values.len(), values[500]);
}

fn overflow(depth: u64) -> u64 {
    let block = [depth; 64];
    overflow(depth + 1) + unsafe { std::ptr::read_volatile(&block[7]) }
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("again");
    }
}

fn main() {
    let argument = std::env::args().nth(1).unwrap();
    match argument.as_str() {
        "panic" => panic!("nobody catches"),
        "abort" => {
            let _drop = PanicsWhenDropped;
            panic!("the first");
        }
        "overflow" => drop(thread::spawn(|| overflow(0)).join()),
        _ => {}
    }
    panic::set_hook(Box::new(|_| ()));
    every_core();
    channels();
    locks();
    poisoned();
    unwinding();
    thread_locals();
    time();
    files().unwrap();
    collections();
    println!("end");
    std::process::exit(argument.parse().unwrap());
}
