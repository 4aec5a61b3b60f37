//! What the event queue and the list of header fields cost, beside what else could do their work. `cargo bench` runs it.
//!
//! Both are private to Sortie, so their sources are built in here as they are.

// Most of it is of no use here, such as the tests, which cargo turns on for a bench.
#![allow(dead_code, unused_imports)]

#[path = "../../../../../src/budget.rs"]
mod budget;
#[path = "../../../../../src/chain.rs"]
mod chain;
#[path = "../../../../../src/error.rs"]
mod error;
#[path = "../../../../../src/event.rs"]
mod event;
#[path = "../../../../../src/headers.rs"]
mod headers;
#[path = "../../../../../src/slots.rs"]
mod slots;
#[path = "../../../../../src/text.rs"]
mod text;

mod fields;
mod queues;

criterion::criterion_group!(benches, queues::benches, fields::benches);
criterion::criterion_main!(benches);
