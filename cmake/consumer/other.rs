//! Another Rust library in the same game: it unwinds, has thread-local storage, allocates and starts threads.

use std::cell::Cell;

thread_local!(static COUNT: Cell<u32> = const { Cell::new(0) });

fn count() -> u32 {
    COUNT.with(|count| {
        count.set(count.get() + 1);
        count.get()
    })
}

/// Returns how often it was called on this thread, after a panic that it caught; 0 if anything went wrong.
#[no_mangle]
pub extern "C" fn other_count() -> u32 {
    std::panic::set_hook(Box::new(|_| {}));
    let caught = std::panic::catch_unwind(|| panic!("{}", vec![1, 2, 3].len())).is_err();
    let fresh = std::thread::spawn(count).join().ok() == Some(1);
    let _ = std::panic::take_hook();
    if caught && fresh {
        count()
    } else {
        0
    }
}
