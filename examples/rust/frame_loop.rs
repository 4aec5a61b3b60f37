//! A frame loop that fetches URLs: `cargo run --example frame_loop -- https://example.com/ https://example.org/`

use std::error::Error;
use std::thread::sleep;
use std::time::{Duration, Instant};

use sortie::{Client, Config, Event, EventKind, Progress, Request};

const FRAME: Duration = Duration::from_micros(16_667);

fn main() -> Result<(), Box<dyn Error>> {
    let urls: Vec<String> = std::env::args().skip(1).collect();
    if urls.is_empty() {
        return Err("usage: frame_loop URL...".into());
    }
    let client = Client::new(Config::default())?;
    for (number, url) in (1..).zip(&urls) {
        client.submit(Request::get(url)?.progress(Progress::Download).user_data(number))?;
    }

    let mut left = urls.len();
    let mut worst = Duration::ZERO;
    while left > 0 {
        let frame = Instant::now();
        while let Some(event) = client.poll() {
            show(&event);
            left -= usize::from(event.kind == EventKind::Ended);
        }
        worst = worst.max(frame.elapsed());
        // Here a game would move its world and draw it.
        sleep(FRAME.saturating_sub(frame.elapsed()));
    }
    println!("worst frame: {worst:?} in the library and in printing");
    Ok(())
}

fn show(event: &Event) {
    let number = event.user_data;
    match (event.kind, event.failure()) {
        (EventKind::Began, _) => println!("{number}: status {}, {} bytes to come", event.status(), event.estimated),
        (EventKind::Progress, _) => println!("{number}: {} of {} bytes", event.transferred, event.estimated),
        (EventKind::Ended, Some((kind, message))) => println!("{number}: {kind:?}: {message}"),
        (EventKind::Ended, None) => println!("{number}: status {}, {} bytes", event.status(), event.body().len()),
        // Of what was not asked for there are no events.
        _ => {}
    }
}
