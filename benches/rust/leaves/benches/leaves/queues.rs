//! The event queue beside others. One thread pushes and one drains, as the worker and the host do: what a drain gives is
//! held until the next one.

use std::collections::VecDeque;
use std::hint::black_box;
use std::mem;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput};

use crate::chain::Chain;
use crate::event::{Event, EventKind, Network, Producer, Response, queue};
use crate::fields;
use crate::slots::{RequestId, Slots};
use crate::text::Text;

/// What a busy game finds in a frame, and the worker pushes in a turn.
const FRAME: usize = 32;
/// Such turns, while both threads are at it.
const TURNS: usize = 320;
const MANY: usize = TURNS * FRAME;

pub(crate) fn benches(c: &mut Criterion) {
    measure(c, "sortie", || {
        let (producer, consumer) = queue(Arc::new(Slots::new(1)));
        let mut held = Chain::new();
        let drain = move || {
            if held.is_empty() && consumer.has_nothing_new() {
                return 0;
            }
            consumer.give_back(mem::replace(&mut held, Chain::new()));
            let mut count = 0;
            let mut drain = consumer.drain().unwrap();
            while let Some(link) = drain.next() {
                held.push(black_box(link));
                count += 1;
            }
            count
        };
        (move |events| push_all(&producer, events), drain)
    });
    measure(c, "crossbeam-channel", || {
        let (sender, receiver) = crossbeam_channel::unbounded();
        ends(move |event| sender.send(event).unwrap(), move || receiver.try_recv().ok())
    });
    measure(c, "std mpsc", || {
        let (sender, receiver) = mpsc::channel();
        ends(move |event| sender.send(event).unwrap(), move || receiver.try_recv().ok())
    });
    measure(c, "crossbeam SegQueue", || {
        let queue = Arc::new(crossbeam_queue::SegQueue::new());
        let end = Arc::clone(&queue);
        ends(move |event| end.push(event), move || queue.pop())
    });
    measure(c, "concurrent-queue", || {
        let queue = Arc::new(concurrent_queue::ConcurrentQueue::unbounded());
        let end = Arc::clone(&queue);
        ends(move |event| end.push(event).unwrap(), move || queue.pop().ok())
    });
    measure(c, "Mutex<VecDeque>", || {
        let queue = Arc::new(Mutex::new(VecDeque::new()));
        let end = Arc::clone(&queue);
        ends(move |event| end.lock().unwrap().push_back(event), move || queue.lock().unwrap().pop_front())
    });
    measure(c, "Mutex<VecDeque>, taken whole", || {
        let queue = Arc::new(Mutex::new(VecDeque::new()));
        let end = Arc::clone(&queue);
        let mut taken = VecDeque::new();
        let pop = move || {
            if taken.is_empty() {
                mem::swap(&mut *queue.lock().unwrap(), &mut taken);
            }
            taken.pop_front()
        };
        ends(move |event| end.lock().unwrap().push_back(event), pop)
    });
    // It has a bound, which Sortie's queue has not: what there is to gain if nothing ever had to grow.
    measure(c, "rtrb", || {
        let (mut producer, mut consumer) = rtrb::RingBuffer::new(MANY);
        ends(move |event| producer.push(event).unwrap(), move || consumer.pop().ok())
    });

    // What goes with the end of a request: its slot is claimed before, and free after.
    let slots = Arc::new(Slots::new(1));
    let (producer, consumer) = queue(Arc::clone(&slots));
    c.bench_function("a slot claimed, ENDED pushed and popped, the slot freed", |b| {
        b.iter_batched(
            bare,
            |event| {
                let request = slots.claim().unwrap();
                producer.push(Event { request, kind: EventKind::Ended, ..event });
                consumer.pop()
            },
            BatchSize::SmallInput,
        );
    });
}

/// A turn of the worker: what the host has let go of is freed, then comes what is new.
fn push_all(producer: &Producer, events: Vec<Event>) {
    drop(producer.take_returned());
    events.into_iter().for_each(|event| producer.push(event));
    producer.announce();
}

/// The ends of a queue that has no more than push and pop.
fn ends<I, O>(mut push: I, mut pop: O) -> (impl FnMut(Vec<Event>) + Send, impl FnMut() -> usize)
where
    I: FnMut(Event) + Send,
    O: FnMut() -> Option<Event>,
{
    let mut held = Vec::new();
    let drain = move || {
        held.clear();
        while let Some(event) = pop() {
            held.push(black_box(event));
        }
        held.len()
    };
    (move |events: Vec<Event>| events.into_iter().for_each(&mut push), drain)
}

/// Measures a queue, made of what pushes events and what drains them all.
fn measure<I, O>(c: &mut Criterion, name: &str, queue: impl Fn() -> (I, O))
where
    I: FnMut(Vec<Event>) + Send + 'static,
    O: FnMut() -> usize,
{
    let (_push, mut drain) = queue();
    c.benchmark_group("drain of an empty queue").bench_function(name, |b| b.iter(&mut drain));

    let (mut push, mut drain) = queue();
    let mut group = c.benchmark_group("push and drain of 32 on one thread");
    group.throughput(Throughput::Elements(FRAME as u64)).bench_function(name, |b| {
        let turn = |events| {
            push(events);
            drain()
        };
        b.iter_batched(|| events(FRAME, bare), turn, BatchSize::SmallInput);
    });
    group.finish();

    for (what, make) in [("events", bare as fn() -> Event), ("responses", response)] {
        let (push, mut drain) = queue();
        let worker = Worker::start(push, make);
        let mut group = c.benchmark_group(format!("drain of 32 {what} that another thread has pushed"));
        group.throughput(Throughput::Elements(FRAME as u64)).bench_function(name, |b| {
            b.iter_custom(|rounds| {
                let mut took = Duration::ZERO;
                for _ in 0..rounds {
                    worker.push(1, Tell::After);
                    let start = Instant::now();
                    let count = drain();
                    took += start.elapsed();
                    assert_eq!(count, FRAME);
                }
                took
            });
        });
        group.finish();
    }

    let (push, mut drain) = queue();
    let worker = Worker::start(push, bare);
    let mut group = c.benchmark_group("drain of 10,240 events while another thread pushes them");
    group.throughput(Throughput::Elements(MANY as u64)).sample_size(20).bench_function(name, |b| {
        b.iter_custom(|rounds| {
            let mut took = Duration::ZERO;
            for _ in 0..rounds {
                worker.push(TURNS, Tell::Before);
                let start = Instant::now();
                let mut count = 0;
                while count < MANY {
                    count += drain();
                }
                took += start.elapsed();
            }
            took
        });
    });
    group.finish();
}

/// Makes events and pushes them, from a thread of its own.
struct Worker {
    turns: Sender<(usize, Tell)>,
    told: Receiver<()>,
}

/// When to say so.
#[derive(PartialEq, Eq)]
enum Tell {
    Before,
    After,
}

impl Worker {
    fn start(mut push: impl FnMut(Vec<Event>) + Send + 'static, make: fn() -> Event) -> Worker {
        let (turns, asked) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        // It ends with its channels.
        thread::spawn(move || {
            while let Ok((count, when)) = asked.recv() {
                let turns: Vec<_> = (0..count).map(|_| events(FRAME, make)).collect();
                if when == Tell::Before {
                    let _ = tell.send(());
                }
                turns.into_iter().for_each(&mut push);
                if when == Tell::After {
                    let _ = tell.send(());
                }
            }
        });
        Worker { turns, told }
    }

    fn push(&self, turns: usize, when: Tell) {
        self.turns.send((turns, when)).unwrap();
        self.told.recv().unwrap();
    }
}

fn events(count: usize, make: fn() -> Event) -> Vec<Event> {
    (0..count).map(|_| make()).collect()
}

/// An event with nothing to free but what it says.
fn bare() -> Event {
    Event {
        request: RequestId::NONE,
        user_data: 7,
        kind: EventKind::Began,
        url: Text::from("http://localhost/scores.json"),
        transferred: 0,
        estimated: -1,
        response: None,
        network: Network::default(),
    }
}

/// One with a response.
fn response() -> Event {
    let response = Response { status: 200, headers: fields::sortie(), ..Response::default() };
    Event { response: Some(Box::new(response)), ..bare() }
}
