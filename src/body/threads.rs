//! The disk's threads. What is asked for one request is carried out in order; a file that hangs holds up its own request alone.
//!
//! Each request has a *strand* of operations, and so have the cookie file and the cache. One thread carries them out, in the
//! order they came, as long as each is done soon. If it has been at one for [`PATIENCE`] while others wait, another thread is
//! started beside it, up to [`MAX_FILE_THREADS`], and at most [`MAX_THREADS_AT_A_PLACE`] of them wait for files of one folder: so a
//! network share that is gone does not take them all. The worker sees to that ([`Disk::watch`]), since it keeps the time.
//!
//! Work on memory, such as compressing a body, has a thread of its own and never waits for a file.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::disk::{Op, Reply, StrandId, Work};
use crate::lock::Locked;
use crate::slots::RequestId;

/// How long an operation may take before another thread is started for what waits behind it.
const PATIENCE: Duration = Duration::from_millis(100);
/// The most threads that may be at files at a time.
const MAX_FILE_THREADS: usize = 32;
/// The most of them that may be at files of one folder.
const MAX_THREADS_AT_A_PLACE: usize = 4;
/// The same while the client is closing, which does not wait for long.
const HASTE: Duration = Duration::from_millis(10);
/// How long a thread beyond the first waits for work before it ends.
const IDLE: Duration = Duration::from_secs(10);

/// What an operation waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Files,
    Memory,
}

/// Starts a thread of this name.
pub(crate) type Spawn = Box<dyn Fn(&str, Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> + Send + Sync>;

/// Operations that are carried out one after another.
#[derive(Default)]
struct Strand {
    operations: VecDeque<(Kind, Op)>,
    /// What is open for it, unless a thread has it.
    work: Option<Box<Work>>,
    /// What the thread that has it is at.
    running: Option<Kind>,
    /// Work that takes long waits for its next turn.
    long: Option<Kind>,
    /// Part of that is on memory.
    in_memory: bool,
    /// The folder of the file that it was about last.
    place: u64,
    /// Nobody waits for it any more.
    abandoned: Arc<AtomicBool>,
}

impl Strand {
    fn next_kind(&self) -> Option<Kind> {
        self.operations.front().map(|(kind, _)| *kind).or(self.long)
    }
}

/// A strand in a thread's hands.
struct Turn {
    strand: StrandId,
    work: Box<Work>,
    /// Or else to go on with what takes long.
    operation: Option<Op>,
}

/// The threads of one kind.
#[derive(Default)]
struct Crew {
    /// One entry for each operation that waits, and one for each strand whose work takes long.
    turns: VecDeque<StrandId>,
    threads: usize,
    idle: usize,
}

struct State {
    strands: HashMap<StrandId, Strand>,
    files: Crew,
    memory: Crew,
    /// Since when threads have been at files, and at which place.
    at_work: HashMap<StrandId, (Instant, u64)>,
    /// The system has refused a thread for work on memory: those for files do it.
    memory_refused: bool,
    handles: Vec<JoinHandle<()>>,
    /// Each thread has one: whoever has the other end sees when all have ended.
    ending: Option<Sender<()>>,
    /// The cache's folder is ours as long as anything may be written there.
    cache_lock: Option<Locked>,
    /// Only what is to be saved is still carried out.
    closing: bool,
    /// Nothing more comes.
    quit: bool,
}

/// See the module.
pub(crate) struct Disk {
    state: Mutex<State>,
    file_work: Condvar,
    memory_work: Condvar,
    /// Something waits for which there is no thread.
    backlog: AtomicBool,
    spawn: Spawn,
    reply: Box<dyn Fn(Reply) + Send + Sync>,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl State {
    fn crew(&mut self, kind: Kind) -> &mut Crew {
        match kind {
            Kind::Files => &mut self.files,
            Kind::Memory => &mut self.memory,
        }
    }

    fn push(&mut self, id: StrandId, operation: Op) {
        let strand =
            self.strands.entry(id).or_insert_with(|| Strand { work: Some(Box::default()), ..Strand::default() });
        if let Some(place) = operation.place() {
            strand.place = place;
        }
        strand.in_memory |= operation.begins_in_memory();
        let kind = operation.kind(strand.in_memory);
        // There is little time then, and what is not removed is overwritten later.
        let comes_first = self.closing && operation.outlasts_the_client();
        strand.operations.push_back((kind, operation));
        let turns = &mut self.crew(kind).turns;
        if comes_first {
            turns.push_front(id);
        } else {
            turns.push_back(id);
        }
    }

    /// Where the next turn of a kind is listed, if any can be taken now. Void ones are dropped on the way.
    fn find(&mut self, kind: Kind) -> Option<usize> {
        let (crew, at_work) = match kind {
            Kind::Files => (&mut self.files, &self.at_work),
            Kind::Memory => (&mut self.memory, &self.at_work),
        };
        let mut at = 0;
        while let Some(id) = crew.turns.get(at) {
            let strand = self.strands.get(id);
            let Some((strand, next)) = strand.and_then(|strand| Some((strand, strand.next_kind()?))) else {
                crew.turns.remove(at);
                continue;
            };
            let there = |place: u64| at_work.values().filter(|(_, other)| *other == place).count();
            let crowded = kind == Kind::Files && there(strand.place) >= MAX_THREADS_AT_A_PLACE;
            if next == kind && strand.work.is_some() && !crowded {
                return Some(at);
            }
            at += 1;
        }
        None
    }

    fn take_turn(&mut self, kind: Kind) -> Option<Turn> {
        let at = self.find(kind)?;
        let id = self.crew(kind).turns.remove(at)?;
        let closing = self.closing;
        let strand = self.strands.get_mut(&id)?;
        let mut work = strand.work.take()?;
        let operation = strand.operations.pop_front().map(|(_, operation)| operation);
        if operation.is_none() {
            strand.long = None;
        }
        strand.running = Some(kind);
        work.in_haste = closing;
        work.abandoned = Arc::clone(&strand.abandoned);
        if kind == Kind::Files {
            self.at_work.insert(id, (Instant::now(), strand.place));
        }
        Some(Turn { strand: id, work, operation })
    }

    fn give_back(&mut self, id: StrandId, work: Box<Work>) {
        self.at_work.remove(&id);
        let Some(strand) = self.strands.get_mut(&id) else { return };
        strand.running = None;
        strand.in_memory = work.is_in_memory() || strand.operations.iter().any(|(_, op)| op.begins_in_memory());
        let long = work.long_kind().filter(|_| strand.long.is_none() && !self.closing);
        let is_over = work.is_empty() && strand.operations.is_empty();
        strand.work = Some(work);
        if let Some(kind) = long {
            strand.long = Some(kind);
            self.crew(kind).turns.push_back(id);
        } else if is_over {
            self.strands.remove(&id);
        }
    }

    /// When all threads at files will have been at theirs for too long.
    fn patience_ends(&self) -> Option<Instant> {
        let last = self.at_work.values().map(|(since, _)| *since).max()?;
        last.checked_add(if self.closing { HASTE } else { PATIENCE })
    }
}

impl Disk {
    /// Starts the first thread.
    pub(crate) fn start(
        spawn: Spawn,
        reply: impl Fn(Reply) + Send + Sync + 'static,
        wake: impl Fn() + Send + Sync + 'static,
        ending: Sender<()>,
        cache_lock: Option<Locked>,
    ) -> io::Result<Arc<Disk>> {
        let state = State {
            strands: HashMap::new(),
            files: Crew::default(),
            memory: Crew::default(),
            at_work: HashMap::new(),
            memory_refused: false,
            handles: Vec::new(),
            ending: Some(ending),
            cache_lock,
            closing: false,
            quit: false,
        };
        let disk = Arc::new(Disk {
            state: Mutex::new(state),
            file_work: Condvar::new(),
            memory_work: Condvar::new(),
            backlog: AtomicBool::new(false),
            spawn,
            reply: Box::new(reply),
            wake: Box::new(wake),
        });
        let started = disk.start_thread(&mut disk.state.lock(), Kind::Files);
        started.map(|()| disk)
    }

    /// Has something carried out. Not for the program's threads: others hold the lock for a moment.
    pub(crate) fn send(self: &Arc<Disk>, operation: Op) {
        let mut state = self.state.lock();
        if state.closing && !operation.outlasts_the_client() {
            return;
        }
        let id = operation.strand();
        state.push(id, operation);
        self.muster(&mut state);
    }

    /// Forgets what waits for a request, and has what is open for it let go of as soon as the disk answers. `false`: a body
    /// that may be lent is being read for it just now.
    pub(crate) fn abandon(self: &Arc<Disk>, id: RequestId) -> bool {
        let mut state = self.state.lock();
        let id = StrandId::Request(id);
        let Some(strand) = state.strands.get_mut(&id) else { return true };
        if strand.running == Some(Kind::Memory) {
            return false;
        }
        strand.abandoned.store(true, Ordering::Relaxed);
        strand.long = None;
        let _dropped = std::mem::take(&mut strand.operations);
        state.push(id, Op::Abandon);
        self.muster(&mut state);
        // What is dropped may be much.
        drop(state);
        true
    }

    /// Starts a thread if something has waited for too long. Gives when to look again, if something waits.
    pub(crate) fn watch(self: &Arc<Disk>) -> Option<Instant> {
        if !self.backlog.load(Ordering::Relaxed) {
            return None;
        }
        let mut state = self.state.lock();
        self.muster(&mut state);
        // If the system has just refused a thread, not at once again.
        let soon = Instant::now() + HASTE;
        self.backlog.load(Ordering::Relaxed).then(|| state.patience_ends().map_or(soon, |end| end.max(soon)))
    }

    /// The client is closing: every unfinished file is removed, and of what still waits only what is to be saved is carried
    /// out.
    pub(crate) fn close(self: &Arc<Disk>) {
        let mut state = self.state.lock();
        if std::mem::replace(&mut state.closing, true) {
            return;
        }
        let mut dropped = Vec::new();
        let waiting: Vec<(StrandId, VecDeque<(Kind, Op)>)> = state
            .strands
            .iter_mut()
            .map(|(id, strand)| {
                strand.long = None;
                (*id, std::mem::take(&mut strand.operations))
            })
            .collect();
        state.files.turns.clear();
        state.memory.turns.clear();
        for (id, operations) in waiting {
            for (_, operation) in operations {
                if operation.outlasts_the_client() {
                    state.push(id, operation);
                } else {
                    dropped.push(operation);
                }
            }
            state.push(id, Op::Abandon);
        }
        self.muster(&mut state);
        drop(state);
    }

    /// Nothing more comes: the threads end once they have done what is left.
    pub(crate) fn quit(self: &Arc<Disk>) {
        self.close();
        let mut state = self.state.lock();
        state.quit = true;
        self.muster(&mut state);
        state.ending = None;
        self.file_work.notify_all();
        self.memory_work.notify_all();
    }

    /// Its threads, to be waited for.
    pub(crate) fn take_threads(&self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut self.state.lock().handles)
    }

    /// Sees that there are threads for what can be done now.
    fn muster(self: &Arc<Disk>, state: &mut MutexGuard<'_, State>) {
        let mut backlog = false;
        for kind in [Kind::Files, Kind::Memory] {
            if state.find(kind).is_none() {
                continue;
            }
            if state.crew(kind).idle > 0 {
                self.work_for(kind).notify_one();
                continue;
            }
            let (threads, now) = (state.crew(kind).threads, Instant::now());
            let wanted = match kind {
                Kind::Memory => threads == 0,
                Kind::Files if threads >= MAX_FILE_THREADS => continue,
                Kind::Files => threads == 0 || state.patience_ends().is_some_and(|end| end <= now),
            };
            if wanted && self.start_thread(state, kind).is_ok() {
                continue;
            }
            if kind == Kind::Memory {
                if threads == 0 {
                    state.memory_refused = true;
                    self.file_work.notify_one();
                }
                continue;
            }
            backlog = true;
        }
        if self.backlog.swap(backlog, Ordering::Relaxed) != backlog && backlog {
            (self.wake)();
        }
    }

    fn work_for(&self, kind: Kind) -> &Condvar {
        match kind {
            Kind::Files => &self.file_work,
            Kind::Memory => &self.memory_work,
        }
    }

    fn start_thread(self: &Arc<Disk>, state: &mut MutexGuard<'_, State>, kind: Kind) -> io::Result<()> {
        let (disk, ending) = (Arc::clone(self), state.ending.clone());
        let name = match kind {
            Kind::Files => "sortie-disk",
            Kind::Memory => "sortie-memory",
        };
        let thread = (self.spawn)(
            name,
            Box::new(move || {
                disk.serve(kind);
                drop(ending);
            }),
        )?;
        state.handles.retain(|thread| !thread.is_finished());
        state.handles.push(thread);
        state.crew(kind).threads += 1;
        if kind == Kind::Memory {
            state.memory_refused = false;
        }
        Ok(())
    }

    /// A thread's life.
    fn serve(self: &Arc<Disk>, kind: Kind) {
        let mut state = self.state.lock();
        loop {
            // Which of them a thread does no longer matters then.
            let both = state.closing || (kind == Kind::Files && state.memory_refused);
            let other = if kind == Kind::Files { Kind::Memory } else { Kind::Files };
            let mut turn = state.take_turn(kind);
            if turn.is_none() && both {
                turn = state.take_turn(other);
            }
            if let Some(turn) = turn {
                self.muster(&mut state);
                drop(state);
                let (id, work) = self.carry_out(turn);
                state = self.state.lock();
                state.give_back(id, work);
                self.muster(&mut state);
                continue;
            }
            if state.quit {
                break;
            }
            state.crew(kind).idle += 1;
            let is_last = kind == Kind::Files && state.files.threads == 1;
            let in_time = if is_last {
                self.work_for(kind).wait(&mut state);
                true
            } else {
                !self.work_for(kind).wait_for(&mut state, IDLE).timed_out()
            };
            let crew = state.crew(kind);
            crew.idle -= 1;
            let is_last = kind == Kind::Files && crew.threads == 1;
            if !in_time && !is_last && state.find(kind).is_none() {
                break;
            }
        }
        state.crew(kind).threads -= 1;
        if state.quit && !state.strands.contains_key(&StrandId::Cache) {
            state.cache_lock = None;
        }
    }

    fn carry_out(&self, turn: Turn) -> (StrandId, Box<Work>) {
        let Turn { strand, mut work, operation } = turn;
        let reply = match operation {
            Some(operation) => {
                let (key, writing) = operation.subject();
                let outcome = catch_unwind(AssertUnwindSafe(|| work.carry_out(operation)));
                let outcome = outcome.unwrap_or_else(|_| key.map(|key| work.after_panic(key, writing)));
                key.zip(outcome)
            }
            None => work.long_work().and_then(|key| {
                let writing = work.is_writing(key);
                let outcome = catch_unwind(AssertUnwindSafe(|| work.go_on(key)));
                Some((key, outcome.unwrap_or_else(|_| Some(work.after_panic(key, writing)))?))
            }),
        };
        if let Some((key, outcome)) = reply {
            (self.reply)(Reply { key, outcome });
        }
        (strand, work)
    }
}
