// Deaths of a Rust program, one for each word it may be called with.
extern "C" {
    fn qsort(base: *mut u8, n: usize, size: usize,
             compare: extern "C" fn(*const u8, *const u8) -> i32);
}

// Out of this no panic may unwind.
extern "C" fn compare(_a: *const u8, _b: *const u8) -> i32 {
    panic!("no order");
}

#[allow(unconditional_recursion)]
fn deep(n: u64) -> u64 {
    let big = [n; 100];
    deep(n + 1) + big[(n % 100) as usize]
}

fn main() {
    let word = std::env::args().nth(1).unwrap();
    match word.as_str() {
        "panic" => panic!("told to"),
        "caught" => {
            for _ in 0..100 {
                let result = std::thread::spawn(|| panic!("told to")).join();
                assert!(result.is_err());
            }
            println!("all caught");
        }
        "extern" => unsafe {
            let mut bytes = [3u8, 1, 2];
            qsort(bytes.as_mut_ptr(), 3, 1, compare);
        },
        "overflow" => println!("{}", deep(0)),
        "thread" => {
            let _ = std::thread::Builder::new().name("deep one".into())
                .spawn(|| println!("{}", deep(0))).unwrap().join();
        }
        "null" => unsafe { *(16 as *mut u32) = 1 },
        _ => std::process::abort(),
    }
}
