//! Whether hosts can be reached: watched by a bounded probe, a connection that carries nothing, made at the start, when
//! the machine's network changes, and now and then.

use std::net::Ipv6Addr;
use std::time::Duration;

use crate::config::canonical_host;
use crate::error::{Reason, Refusal};
use crate::event::Network;
use crate::net::{self, Answer, Probe};
use crate::request::Limit;
use crate::slots::{MAX_SLOTS, RequestId};
use crate::text::Text;

/// How many hosts a client may watch.
pub(crate) const MAX_WATCHES: usize = 64;
/// The shortest time between two looks at a host.
const SHORTEST: Duration = Duration::from_millis(10);
/// How long the network's changes gather before hosts are looked at again: they come in bursts.
pub(super) const SETTLE: Duration = Duration::from_millis(100);
/// The lowest token of a probe.
pub(super) const FIRST_PROBE: usize = MAX_SLOTS as usize;
/// The ports that a host is tried at if it says none.
const PORTS: [u16; 2] = [443, 80];

/// A host to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// As given.
    pub(crate) text: Text,
    /// As URLs have it.
    pub(crate) name: String,
    pub(crate) port: Option<u16>,
}

impl Host {
    /// Reads a name or an address, with or without a port.
    pub(crate) fn parse(text: &str) -> Result<Host, Refusal> {
        let refuse = |what: &str| {
            let message = format!("host '{}' {what}", text.escape_default());
            Err(Refusal::new(Reason::Argument, message))
        };
        if text.contains('/') {
            return refuse("is a URL or a path, not a host's name");
        }
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) if text.parse::<Ipv6Addr>().is_err() && !text.ends_with(']') => (name, Some(port)),
            _ => (text, None),
        };
        let port = match port.map(str::parse::<u16>) {
            None => None,
            Some(Ok(port)) if port > 0 => Some(port),
            Some(_) => return refuse("has a port that is not 1 to 65535"),
        };
        Ok(Host { text: Text::from(text), name: canonical_host("host", name)?, port })
    }
}

/// A host that is watched.
struct Watch {
    id: RequestId,
    user_data: u64,
    host: Host,
    /// What its listener was told last.
    told: Option<Network>,
    probe: Option<Probe>,
    /// Which of its ports is tried.
    turn: usize,
    /// When it is looked at next.
    due: Duration,
    /// It is to be looked at once more, since the network has changed meanwhile.
    again: bool,
}

/// What a watch has found.
pub(super) struct News {
    pub(super) id: RequestId,
    pub(super) user_data: u64,
    pub(super) host: Text,
    pub(super) network: Network,
}

/// What libcurl tells a watch's probe by; transfers have lower numbers.
pub(super) fn probe_token(id: RequestId) -> usize {
    FIRST_PROBE + id.index()
}

/// All that are watched.
pub(super) struct Watches {
    list: Vec<Watch>,
    interval: Option<Duration>,
    /// When probes were last ended because the network had changed.
    ended: Option<Duration>,
}

impl Watches {
    pub(super) fn new(interval: Limit) -> Watches {
        Watches { list: Vec::new(), interval: interval.duration().map(|interval| interval.max(SHORTEST)), ended: None }
    }

    pub(super) fn add(&mut self, id: RequestId, user_data: u64, host: Host, now: Duration) {
        self.list.push(Watch { id, user_data, host, told: None, probe: None, turn: 0, due: now, again: false });
    }

    /// Takes a watch out, with the probe that it was making.
    pub(super) fn remove(&mut self, id: RequestId) -> Option<Probe> {
        let at = self.list.iter().position(|watch| watch.id == id)?;
        self.list.swap_remove(at).probe
    }

    /// The network has changed: what was found no longer counts. Gives the probes that are to be ended for it.
    pub(super) fn network_changed(&mut self, now: Duration) -> Vec<Probe> {
        // Should it go on changing, probes must come to an end all the same.
        let may_end = self.ended.is_none_or(|ended| now.saturating_sub(ended) >= net::PROBE_PATIENCE);
        if may_end {
            self.ended = Some(now);
            return self.take_probes(now);
        }
        for watch in &mut self.list {
            watch.again = watch.probe.is_some();
            watch.due = now;
        }
        Vec::new()
    }

    /// Takes all probes, and has every host looked at anew.
    pub(super) fn take_probes(&mut self, now: Duration) -> Vec<Probe> {
        let anew = |watch: &mut Watch| {
            (watch.turn, watch.due, watch.again) = (0, now, false);
            watch.probe.take()
        };
        self.list.iter_mut().filter_map(anew).collect()
    }

    /// When a host is to be looked at next.
    pub(super) fn next(&self) -> Option<Duration> {
        self.list.iter().filter(|watch| watch.probe.is_none()).map(|watch| watch.due).min()
    }

    /// A host that is to be looked at now, by this id, name and port.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<(RequestId, String, u16)> {
        let watch = self.list.iter_mut().find(|watch| watch.probe.is_none() && watch.due <= now)?;
        // Should the probe not even start, it is made later.
        watch.due = self.interval.map_or(Duration::MAX, |interval| now.saturating_add(interval));
        let port = watch.host.port.or_else(|| PORTS.get(watch.turn).copied()).unwrap_or(PORTS[0]);
        Some((watch.id, watch.host.name.clone(), port))
    }

    pub(super) fn started(&mut self, id: RequestId, probe: Probe) {
        if let Some(watch) = self.list.iter_mut().find(|watch| watch.id == id) {
            watch.probe = Some(probe);
        }
    }

    /// The watch whose probe has this token, and that probe.
    pub(super) fn take_probe(&mut self, token: usize) -> Option<(RequestId, Probe)> {
        let watch = self.list.iter_mut().find(|watch| probe_token(watch.id) == token)?;
        Some((watch.id, watch.probe.take()?))
    }

    /// A probe has come to its end; gives what is new by it.
    pub(super) fn answered(&mut self, id: RequestId, answer: Answer, now: Duration) -> Option<News> {
        let watch = self.list.iter_mut().find(|watch| watch.id == id)?;
        let any_port = watch.host.port.is_none();
        let network = match answer {
            Answer::Connected(local) => {
                local.map_or(Network { reachable: true, ..Network::default() }, net::by_local_address)
            }
            // Somebody is there to say no.
            Answer::Refused if any_port => Network { reachable: true, ..Network::default() },
            Answer::Refused | Answer::Nothing => Network::default(),
        };
        if !network.reachable && any_port && answer == Answer::Nothing && watch.turn + 1 < PORTS.len() {
            watch.turn += 1;
            watch.due = now;
            return None;
        }
        watch.turn = 0;
        let again = std::mem::take(&mut watch.again);
        let next = self.interval.filter(|_| !again).map(|interval| now.saturating_add(interval));
        watch.due = next.unwrap_or(if again { now } else { Duration::MAX });
        if watch.told == Some(network) {
            return None;
        }
        watch.told = Some(network);
        Some(News { id, user_data: watch.user_data, host: watch.host.text.clone(), network })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::Slots;

    #[test]
    fn hosts_are_names_or_addresses_with_or_without_a_port() {
        let parsed = |text: &str| Host::parse(text).map(|host| (host.name, host.port)).unwrap();
        assert_eq!(parsed("Example.COM"), ("example.com".into(), None));
        assert_eq!(parsed("b\u{fc}cher.example:8080"), ("xn--bcher-kva.example".into(), Some(8080)));
        assert_eq!(parsed("127.0.0.1:1"), ("127.0.0.1".into(), Some(1)));
        assert_eq!(parsed("::1"), ("[::1]".into(), None));
        assert_eq!(parsed("[::1]"), ("[::1]".into(), None));
        assert_eq!(parsed("[::1]:80"), ("[::1]".into(), Some(80)));
        for bad in ["", ":80", "x:", "x:0", "x:65536", "x:y", "http://x", "x/y", "a b", "x\n"] {
            assert_eq!(Host::parse(bad).unwrap_err().reason, Reason::Argument, "{bad:?}");
        }
    }

    fn watch(host: &str) -> (Watches, RequestId) {
        let id = Slots::new(1).claim_watch().unwrap();
        let mut watches = Watches::new(Limit::After(Duration::from_secs(30)));
        watches.add(id, 7, Host::parse(host).unwrap(), Duration::ZERO);
        (watches, id)
    }

    const UP: Network = Network {
        reachable: true,
        connection_required: false,
        connection_on_demand: false,
        interaction_required: false,
        cellular: false,
        wifi: false,
    };

    #[test]
    fn a_host_is_tried_at_both_ports_before_it_counts_as_gone() {
        let (mut watches, id) = watch("x.example");
        let at = Duration::from_secs;
        assert_eq!(watches.take_due(at(0)), Some((id, "x.example".into(), 443)));
        assert!(watches.answered(id, Answer::Nothing, at(5)).is_none());
        assert_eq!(watches.take_due(at(5)), Some((id, "x.example".into(), 80)));
        assert_eq!(watches.answered(id, Answer::Nothing, at(10)).unwrap().network, Network::default());
        assert_eq!((watches.take_due(at(39)), watches.next()), (None, Some(at(40))));
        assert_eq!(watches.take_due(at(40)).unwrap().2, 443);
        assert_eq!(watches.answered(id, Answer::Refused, at(40)).unwrap().network, UP, "somebody is there");
        assert!(watches.answered(id, Answer::Connected(None), at(70)).is_none(), "no news");
    }

    #[test]
    fn a_port_that_is_named_has_to_answer() {
        let (mut watches, id) = watch("x.example:99");
        assert_eq!(watches.take_due(Duration::ZERO).unwrap().2, 99);
        assert_eq!(watches.answered(id, Answer::Refused, Duration::ZERO).unwrap().network, Network::default());
    }

    #[test]
    fn a_change_of_the_network_has_every_host_looked_at_anew() {
        let (mut watches, id) = watch("x.example");
        watches.take_due(Duration::ZERO);
        watches.answered(id, Answer::Connected(None), Duration::ZERO);
        let now = Duration::from_secs(1);
        assert!(watches.take_due(now).is_none());
        watches.network_changed(now);
        assert!(watches.take_due(now).is_some());
    }

    #[test]
    fn an_interval_of_any_length_is_fine() {
        for interval in [Duration::ZERO, Duration::MAX] {
            let id = Slots::new(1).claim_watch().unwrap();
            let mut watches = Watches::new(Limit::After(interval));
            watches.add(id, 7, Host::parse("x.example:1").unwrap(), Duration::ZERO);
            let now = Duration::from_secs(1);
            assert!(watches.take_due(now).is_some());
            watches.answered(id, Answer::Nothing, now);
            assert!(watches.next() > Some(now));
        }
    }
}
