//! Tells the tests for which platform they are built: `cargo metadata` wants to know.

fn main() {
    if let Ok(target) = std::env::var("TARGET") {
        println!("cargo::rustc-env=KEKKAI_TARGET={target}");
    }
}
