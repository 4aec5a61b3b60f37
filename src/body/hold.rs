//! For tests: a disk that hangs. Operations on files whose path contains a marker wait until it is taken away.

use std::path::Path;

use parking_lot::{Condvar, Mutex};

/// Markers, and how many operations wait for each to go.
static HELD: Mutex<Vec<(String, u32)>> = Mutex::new(Vec::new());
static CHANGED: Condvar = Condvar::new();

/// Holds up whatever is about a path with this in it from now on.
pub(crate) fn hold(marker: &str) {
    HELD.lock().push((marker.to_owned(), 0));
}

/// Lets all of that go on.
pub(crate) fn release(marker: &str) {
    HELD.lock().retain(|(held, _)| held != marker);
    CHANGED.notify_all();
}

/// How many operations are held up by this.
pub(crate) fn waiting(marker: &str) -> u32 {
    HELD.lock().iter().filter(|(held, _)| held == marker).map(|(_, waiting)| waiting).sum()
}

/// Waits as long as this path is held up.
pub(super) fn pass(path: &Path) {
    let path = path.to_string_lossy();
    let mut held = HELD.lock();
    let mut counted = false;
    while let Some((_, waiting)) = held.iter_mut().find(|(marker, _)| path.contains(marker.as_str())) {
        *waiting += u32::from(!std::mem::replace(&mut counted, true));
        CHANGED.wait(&mut held);
    }
}
