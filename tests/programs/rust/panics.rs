// Ends by a panic: `panics NAME`. Compiled by the tests with panic=abort, and
// with unwinding.
use std::env;

struct Failing;

impl Drop for Failing {
    fn drop(&mut self) {
        panic!("while unwinding");
    }
}

#[inline(never)]
fn pick(list: &[i32], n: usize) -> i32 {
    list[n]
}

#[inline(never)]
extern "C" fn called_from_c(n: usize) {
    if n > 1 {
        panic!("crossed with {}", n);
    }
}

fn caught() {
    let result = std::panic::catch_unwind(|| panic!("was caught"));
    if result.is_err() {
        std::process::abort();
    }
}

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let n = arguments.len();
    match arguments[1].as_str() {
        "abort" => std::process::abort(),
        "any" => std::panic::panic_any(42i32),
        "caught" => caught(),
        "cross" => called_from_c(n),
        "drop" => {
            let _failing = Failing;
            panic!("at first");
        }
        "expect" => {
            arguments[1].find('z').expect("there has to be one");
        }
        "format" => panic!("the number is {}", n * 21),
        "index" => println!("{}", pick(&[1, 2, 3], n + 40)),
        "literal" => panic!("a literal text"),
        "long" => panic!("{}", "ä".repeat(2000)),
        "string" => std::panic::panic_any(String::from("an owned string")),
        "thread" => {
            let thread = std::thread::spawn(|| panic!("in a thread"));
            thread.join().unwrap();
        }
        "unwrap" => {
            let result: Result<i32, String> = Err("no luck".to_string());
            result.unwrap();
        }
        _ => {}
    }
}
