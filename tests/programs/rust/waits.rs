// Threads that wait at the end of a recursion, for tests/programs/stacks.py.
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

static LEFT: AtomicU32 = AtomicU32::new(0);

#[inline(never)]
fn down(levels: u32, wait: &dyn Fn()) {
    if levels == 0 {
        wait();
    } else {
        down(levels - 1, wait);
    }
    LEFT.fetch_add(1, Ordering::Relaxed);
}

fn main() {
    for levels in 0..4 {
        thread::spawn(move || down(levels * 10, &|| loop { thread::park() }));
    }
    thread::sleep(Duration::from_millis(300));
    println!("ready");
    let words = vec![3u32, 4, 5];
    words.iter().map(|n| down(*n, &|| loop {
        thread::sleep(Duration::from_secs(1000))
    })).for_each(drop);
}
