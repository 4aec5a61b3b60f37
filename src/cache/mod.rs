//! The HTTP cache: what is stored, in memory and on disk. `rules` says what may be, and whom it answers; the worker asks;
//! the disk's thread reads and writes.

pub(crate) mod entry;
pub(crate) mod folder;
mod lru;
pub(crate) mod rules;

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use url::Url;

use crate::body::disk::Op;
use crate::body::threads::Disk;
use entry::Entry;
use lru::Lru;

/// The largest body that is kept.
pub(crate) const MAX_ENTRY: u64 = 32 << 20;
/// What a file takes up on disk is a multiple of this, with most file systems.
const BLOCK: u64 = 4096;
/// Of how many URLs it is remembered that they were made void.
const MAX_VOIDED: usize = 256;
/// How many variants of a URL are kept, as `Vary` tells them apart.
const MAX_VARIANTS: u64 = 4;
/// How much of a body is held before it is written to the cache's folder while it comes, if there is one, in bytes.
const STAGE_AT: usize = 256 << 10;
/// How much of bodies that are coming may be held at a time, until they are whole or the disk has written it, in bytes; a
/// response that comes beyond that is not stored.
const MAX_RECORDED: u64 = MAX_ENTRY;
/// How often it is noted on disk that an entry is in use, in milliseconds.
const TOUCH_EVERY: u64 = 60_000;

/// How much may be on its way to a disk that falls behind, in bytes; what comes then is not kept there.
const MAX_ON_ITS_WAY: u64 = MAX_ENTRY;

/// Counts an entry as on its way to the disk, until it is dropped.
pub(crate) struct OnItsWay {
    size: u64,
    all: Arc<AtomicU64>,
}

impl OnItsWay {
    /// `None` if there is too much already.
    fn new(size: u64, all: &Arc<AtomicU64>) -> Option<OnItsWay> {
        let before = all.fetch_add(size, Ordering::Relaxed);
        let this = OnItsWay { size, all: Arc::clone(all) };
        (before == 0 || before.saturating_add(size) <= MAX_ON_ITS_WAY).then_some(this)
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.all.fetch_sub(self.size, Ordering::Relaxed);
    }
}

/// Bytes of one response that are held until it is whole, or until the disk has written them, counted with those of all others.
pub(crate) struct Recorded {
    bytes: Vec<u8>,
    all: Arc<AtomicU64>,
}

impl Recorded {
    /// Adds bytes, unless all would become too many together or memory fails; `false` if so.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> bool {
        let count = bytes.len() as u64;
        let fits = self.all.load(Ordering::Relaxed).saturating_add(count) <= MAX_RECORDED;
        if !fits || self.bytes.try_reserve(bytes.len()).is_err() {
            return false;
        }
        self.all.fetch_add(count, Ordering::Relaxed);
        self.bytes.extend_from_slice(bytes);
        true
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes the bytes out; they are counted where they go to.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.all.fetch_sub(self.bytes.len() as u64, Ordering::Relaxed);
        std::mem::take(&mut self.bytes)
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        self.take();
    }
}

/// A body that is coming and is to be stored: held while it is small or if there is no folder, else written to the folder a
/// piece at a time. Dropped, it is gone from there.
pub(crate) struct Coming {
    held: Recorded,
    length: u64,
    /// Where it may be written to, and by whom.
    place: Option<(PathBuf, Arc<Disk>)>,
    /// Some of it was handed over to be written.
    is_staged: bool,
}

impl Coming {
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Adds bytes; `false` if it cannot be held, nor is the disk soon enough. Then it is gone.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> bool {
        self.length += bytes.len() as u64;
        let added = self.held.add(bytes);
        if !added {
            self.give_up();
        } else if self.held.bytes().len() >= STAGE_AT {
            self.hand_over();
        }
        added
    }

    fn hand_over(&mut self) {
        let Some((path, disk)) = &self.place else { return };
        let emptied = Recorded { bytes: Vec::new(), all: Arc::clone(&self.held.all) };
        disk.send(Op::Stage(path.clone(), std::mem::replace(&mut self.held, emptied)));
        self.is_staged = true;
    }

    pub(crate) fn give_up(&mut self) {
        self.held.take();
        if let Some((path, disk)) = self.place.take().filter(|_| self.is_staged) {
            disk.send(Op::Unstage(path));
        }
    }

    /// It is whole: takes the bytes out, if they are held, or else what is staged.
    pub(crate) fn end(&mut self) -> Body {
        if !self.is_staged {
            return Body::Held(self.held.take());
        }
        if !self.held.bytes().is_empty() {
            self.hand_over();
        }
        Body::Staged(Staged { length: self.length, place: self.place.take() })
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some((path, disk)) = self.place.take() {
            disk.send(Op::Unstage(path));
        }
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// A whole body in the cache's folder. Dropped before it is stored, it is gone from there.
pub(crate) struct Staged {
    length: u64,
    place: Option<(PathBuf, Arc<Disk>)>,
}

/// A whole body that is to be stored.
pub(crate) enum Body {
    Held(Vec<u8>),
    Staged(Staged),
}

/// What is known of a file.
struct OnDisk {
    /// When it was noted there that it was used.
    touched: u64,
    /// Which variant it is; `None` until it has been read.
    variant: Option<Variant>,
}

/// The same request headers lead to the same variant.
type Variant = (u64, bool);

fn variant(entry: &Entry) -> Variant {
    (entry.variant, entry.compression)
}

/// What is stored, used last in memory, and on disk by name alone.
pub(crate) struct Cache {
    memory: Lru<Arc<Entry>>,
    disk: Lru<OnDisk>,
    recorded: Arc<AtomicU64>,
    /// How many bodies were begun.
    begun: u64,
    folder: Option<PathBuf>,
    on_its_way: Arc<AtomicU64>,
    is_on: bool,
    /// Counts what was made void, and everything at once: what began before is not kept.
    epoch: u64,
    /// What was made void last, and everything before this epoch.
    voided: VecDeque<(u64, u64)>,
    all_void: u64,
    pub(crate) hits: u64,
    pub(crate) revalidated: u64,
    pub(crate) misses: u64,
}

/// What URLs are stored under. Two of one key are told apart by their entries.
fn key(url: &Url) -> u64 {
    let mut hasher = DefaultHasher::new();
    url.as_str().hash(&mut hasher);
    hasher.finish()
}

/// What its variants are stored under.
fn keys(url: &Url) -> impl Iterator<Item = u64> {
    let first = key(url);
    (0..MAX_VARIANTS).map(move |number| first.wrapping_add(number))
}

/// How much of a disk a file of this size takes up.
fn on_disk(size: u64) -> u64 {
    size.checked_next_multiple_of(BLOCK).unwrap_or(u64::MAX)
}

impl Cache {
    /// With what was found in its folder. Gives the files that are too many as well.
    pub(crate) fn new(
        folder: Option<PathBuf>,
        files: &[(u64, u64)],
        disk_limit: u64,
        memory_limit: u64,
    ) -> (Cache, Vec<PathBuf>) {
        let is_on = memory_limit > 0 || folder.is_some();
        let mut disk = Lru::new(disk_limit);
        let gone: Vec<u64> = files
            .iter()
            .flat_map(|(key, size)| disk.insert(*key, on_disk(*size), OnDisk { touched: 0, variant: None }))
            .collect();
        let memory = Lru::new(memory_limit);
        let (voided, on_its_way, recorded) = Default::default();
        let (begun, epoch, all_void, hits, revalidated, misses) = Default::default();
        let cache = Cache {
            memory,
            disk,
            recorded,
            begun,
            folder,
            on_its_way,
            is_on,
            epoch,
            voided,
            all_void,
            hits,
            revalidated,
            misses,
        };
        let gone = gone.into_iter().filter_map(|key| cache.path(key)).collect();
        (cache, gone)
    }

    pub(crate) fn is_on(&self) -> bool {
        self.is_on
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether a response that was asked for at this epoch may tell of what there was before something changed it.
    pub(crate) fn is_void_since(&self, url: &Url, epoch: u64) -> bool {
        let key = key(url);
        epoch < self.all_void || self.voided.iter().any(|(other, at)| *other == key && *at > epoch)
    }

    /// Bytes stored, in memory and on disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.memory.bytes() + self.disk.bytes()
    }

    /// The largest body worth holding on to.
    pub(crate) fn largest(&self) -> u64 {
        self.memory.largest().max(self.disk.largest()).min(MAX_ENTRY)
    }

    fn path(&self, key: u64) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder::path(folder, key))
    }

    /// Starts to keep a body that is to be stored.
    pub(crate) fn record(&mut self, disk: &Arc<Disk>) -> Coming {
        self.begun += 1;
        // What only memory has room for is held.
        let folder = self.folder.as_ref().filter(|_| self.disk.largest() >= self.memory.largest());
        let place = folder.map(|folder| (folder::staged_path(folder, self.begun), Arc::clone(disk)));
        Coming { held: self.hold(), length: 0, place, is_staged: false }
    }

    fn hold(&self) -> Recorded {
        Recorded { bytes: Vec::new(), all: Arc::clone(&self.recorded) }
    }

    /// Where what is stored for a URL has to be read from first.
    pub(crate) fn lies_at(&self, url: &Url) -> Vec<PathBuf> {
        let unread = keys(url).filter(|key| self.disk.contains(*key) && !self.memory.contains(*key));
        unread.filter_map(|key| self.path(key)).collect()
    }

    /// Takes note of what was read, of which some may not be there or not whole.
    pub(crate) fn recalled(&mut self, read: Vec<(PathBuf, Option<Arc<Entry>>)>) -> Vec<(u64, Arc<Entry>)> {
        let mut entries = Vec::new();
        for (path, entry) in read {
            let Some(key) = folder::key_at(&path) else { continue };
            match (entry, self.disk.peek_mut(key)) {
                (Some(entry), Some(on_disk)) => {
                    on_disk.variant = Some(variant(&entry));
                    entries.push((key, entry));
                }
                // It may have been removed while it was read.
                (Some(_), None) => {}
                (None, _) => drop(self.disk.remove(key)),
            }
        }
        entries
    }

    /// The newest that is stored for a URL, in memory or just read, and wanted. Tells the disk that it is used.
    pub(crate) fn get(
        &mut self,
        url: &Url,
        read: &[(u64, Arc<Entry>)],
        now: u64,
        wanted: &dyn Fn(&Arc<Entry>) -> bool,
        disk: &dyn Fn(Op),
    ) -> Option<Arc<Entry>> {
        let of_memory = keys(url).filter_map(|key| Some((key, self.memory.peek(key)?)));
        // It may have been removed, or replaced, since it was read.
        let still_there = |key: &u64| self.disk.contains(*key) && !self.memory.contains(*key);
        let just_read = read.iter().filter(|(key, _)| still_there(key)).map(|(key, entry)| (*key, entry));
        let fitting = of_memory.chain(just_read).filter(|(_, entry)| wanted(entry));
        // A millisecond may have brought several.
        let newest = |(key, entry): &(u64, &Arc<Entry>)| (entry.times.responded, self.memory.put_in(*key));
        let (key, entry) = fitting.max_by_key(newest)?;
        let entry = Arc::clone(entry);
        let path = self.path(key);
        if let (Some(OnDisk { touched, .. }), Some(path)) = (self.disk.get(key), path)
            && touched.saturating_add(TOUCH_EVERY) <= now
        {
            *touched = now;
            disk(Op::Touch(path));
        }
        if self.memory.get(key).is_none() {
            self.keep_in_memory(key, &entry);
        }
        Some(entry)
    }

    /// Where a response is stored: in the place of the same variant, or else in a free one, or in that of the variant that was
    /// used longest ago. A file that has not been read may be the same variant, and goes first.
    fn place_for(&self, url: &Url, entry: &Entry) -> u64 {
        let order = |key: &u64| {
            let in_memory = self.memory.peek(*key).map(|entry| variant(entry));
            let known = in_memory.or_else(|| self.disk.peek(*key).and_then(|on_disk| on_disk.variant));
            let last_use = self.disk.last_use(*key).or_else(|| self.memory.last_use(*key));
            match (known, last_use) {
                (Some(known), _) if known == variant(entry) => (0, 0),
                (None, Some(last_use)) => (1, last_use),
                (_, None) => (2, 0),
                (Some(_), Some(last_use)) => (3, last_use),
            }
        };
        keys(url).min_by_key(order).unwrap_or_else(|| key(url))
    }

    fn keep_in_memory(&mut self, key: u64, entry: &Arc<Entry>) {
        let size = entry.size();
        if size <= self.memory.largest() {
            self.memory.insert(key, size, Arc::clone(entry));
        } else {
            self.memory.remove(key);
        }
    }

    /// The disk could not store this.
    pub(crate) fn not_kept(&mut self, path: &Path) {
        if let Some(key) = folder::key_at(path) {
            self.disk.remove(key);
        }
    }

    /// Stores a response in the place of an earlier one. If its body is in the folder already, the entry has none.
    pub(crate) fn store(&mut self, url: &Url, entry: &Arc<Entry>, staged: Option<Staged>, now: u64, disk: &dyn Fn(Op)) {
        let key = self.place_for(url, entry);
        let size = entry.size() + staged.as_ref().map_or(0, |staged| staged.length);
        if staged.is_some() {
            self.memory.remove(key);
        } else {
            self.keep_in_memory(key, entry);
        }
        let Some(path) = self.path(key) else { return };
        let fits = size <= self.disk.largest();
        let keep = match staged {
            _ if !fits => None,
            Some(mut staged) => {
                staged.place.take().map(|(from, _)| Op::KeepStaged(from, path.clone(), Arc::clone(entry)))
            }
            None => OnItsWay::new(size, &self.on_its_way)
                .map(|on_its_way| Op::Keep(path.clone(), Arc::clone(entry), on_its_way)),
        };
        let Some(keep) = keep else {
            if self.disk.remove(key) {
                disk(Op::Forget(vec![path]));
            }
            return;
        };
        let gone: Vec<PathBuf> = self
            .disk
            .insert(key, on_disk(size), OnDisk { touched: now, variant: Some(variant(entry)) })
            .into_iter()
            .filter_map(|key| self.path(key))
            .collect();
        disk(keep);
        if !gone.is_empty() {
            disk(Op::Forget(gone));
        }
    }

    /// Forgets what is stored for a URL.
    pub(crate) fn invalidate(&mut self, url: &Url, disk: &dyn Fn(Op)) {
        let key = key(url);
        self.epoch += 1;
        // What is posted to again and again takes up one place.
        self.voided.retain(|(other, _)| *other != key);
        self.voided.push_back((key, self.epoch));
        if self.voided.len() > MAX_VOIDED {
            // Of what is forgotten nothing can be told any more.
            self.all_void = self.voided.pop_front().map_or(self.epoch, |(_, at)| at);
        }
        let mut gone = Vec::new();
        for key in keys(url) {
            self.memory.remove(key);
            gone.extend(self.path(key).filter(|_| self.disk.remove(key)));
        }
        if !gone.is_empty() {
            disk(Op::Forget(gone));
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self, disk: &dyn Fn(Op)) {
        self.epoch += 1;
        self.all_void = self.epoch;
        self.voided.clear();
        self.memory.clear();
        let gone: Vec<PathBuf> = self.disk.clear().into_iter().filter_map(|key| self.path(key)).collect();
        disk(Op::Forget(gone));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn what_was_made_void_is_remembered_for_a_while() {
        let url = |number: usize| Url::parse(&format!("http://x/{number}")).unwrap();
        let (mut cache, _) = Cache::new(None, &[], 0, 1000);
        let before = cache.epoch();
        (0..1000).for_each(|_| cache.invalidate(&url(0), &drop));
        assert!(cache.is_void_since(&url(0), before) && !cache.is_void_since(&url(0), cache.epoch()));
        assert!(!cache.is_void_since(&url(1), before));
        (1..=MAX_VOIDED).for_each(|number| cache.invalidate(&url(number), &drop));
        assert!(cache.is_void_since(&url(0), before) && cache.is_void_since(&url(999_999), before), "all are");
        let later = cache.epoch();
        assert!(!cache.is_void_since(&url(0), later));
        cache.clear(&drop);
        assert!(cache.is_void_since(&url(0), later));
    }

    #[test]
    fn bodies_that_are_coming_are_held_to_a_limit_together() {
        let (cache, _) = Cache::new(None, &[], 0, 1 << 30);
        let mut bodies: Vec<Recorded> = (0..40).map(|_| cache.hold()).collect();
        let piece = vec![0; 1 << 20];
        let mut held = 0;
        for body in (0..24).flat_map(|_| 0..40) {
            held += u64::from(bodies[body].add(&piece)) << 20;
        }
        assert_eq!(held, MAX_RECORDED);
        assert!(!bodies[0].add(b"x"));
        assert_eq!(bodies[0].take().len(), 1 << 20);
        assert!(bodies[1].add(&piece) && !bodies[2].add(b"x"), "what is let go of makes room");
        drop(bodies);
        assert_eq!(cache.recorded.load(Ordering::Relaxed), 0);
        assert!(cache.hold().add(&vec![0; usize::try_from(MAX_RECORDED).unwrap()]));
    }

    #[test]
    fn a_disk_that_falls_behind_is_not_given_more() {
        let url = |number: u32| Url::parse(&format!("http://x/{number}")).unwrap();
        let entry = |number| Arc::new(entry::tests::entry(url(number).as_str(), &vec![0; 10 << 20]));
        let (mut cache, _) = Cache::new(Some("folder".into()), &[], 1 << 30, 0);
        let operations = RefCell::new(Vec::new());
        let disk = |operation| operations.borrow_mut().push(operation);
        (0..5).for_each(|number| cache.store(&url(number), &entry(number), None, 0, &disk));
        let kept = |cache: &Cache| (0..5).filter(|number| !cache.lies_at(&url(*number)).is_empty()).count();
        assert_eq!((kept(&cache), operations.borrow().len()), (3, 3));
        cache.store(&url(0), &entry(0), None, 0, &disk);
        assert!(matches!(operations.borrow().last(), Some(Op::Forget(_))), "the older one does not stay");
        operations.borrow_mut().clear();
        cache.store(&url(0), &entry(0), None, 0, &disk);
        assert_eq!(kept(&cache), 3);
    }
}
