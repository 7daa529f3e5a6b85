// Rust: closures, traits, recursion, collections, and a panic that is caught.
use std::collections::BTreeMap;
use std::panic;

trait Shape {
    fn sides(&self, n: u32) -> u32;
}

struct Square;
struct Other(u32);

impl Shape for Square {
    fn sides(&self, n: u32) -> u32 {
        n * 4
    }
}

impl Shape for Other {
    fn sides(&self, n: u32) -> u32 {
        if n == 0 { self.0 } else { self.sides(n - 1) + 1 }
    }
}

#[inline(never)]
fn parse(text: &str) -> Result<u32, std::num::ParseIntError> {
    let value: u32 = text.parse()?;
    Ok(value + 1)
}

#[inline(never)]
fn deep(n: u32, text: String) -> usize {
    if n == 0 {
        panic!("thrown {}", text);
    }
    deep(n - 1, format!("{} {}", n, text)) + 1
}

fn main() {
    let n = std::env::args().count() as u32 + 2;
    let shapes: Vec<Box<dyn Shape>> =
        vec![Box::new(Square), Box::new(Other(n))];
    let mut names = BTreeMap::new();
    for (i, shape) in shapes.iter().enumerate() {
        names.insert(format!("{}", i), shape.sides(n));
    }
    let mut values: Vec<u32> = (0..12).map(|i| i * 5 % 12).collect();
    values.sort_by(|a, b| b.cmp(a));
    panic::set_hook(Box::new(|_| {}));
    let caught = panic::catch_unwind(|| deep(3, String::new())).is_err();
    println!("{} {} {:?} {:?}", names.len(), caught, parse("12"), parse("x"));
}
