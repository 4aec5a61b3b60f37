//! What the machine's network is like, and a way to hear that it has changed.
//!
//! Where a packet would leave by is asked of the kernel by connecting a datagram socket, which sends nothing; that works
//! alike on every system. Hearing of changes is each system's own: [`Monitor`] knows Linux, and is absent elsewhere, where
//! the watches' interval has to do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::event::Network;

/// Addresses that nobody has, to ask for the way out: those of documentation.
const OUTSIDE: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];

/// The addresses by which packets leave the machine, of each family. On another network they are others.
pub(crate) type WaysOut = [Option<IpAddr>; OUTSIDE.len()];

pub(crate) fn ways_out() -> WaysOut {
    OUTSIDE.map(local_address)
}

/// The machine's network as a whole: whether there is a way out, and by what.
pub(crate) fn network(ways: &WaysOut) -> Network {
    let mut ways = ways.iter().flatten().map(|way| by_local_address(*way));
    ways.find(|network| network.reachable).unwrap_or_default()
}

/// The address that packets to another leave by; `None` if there is no way.
fn local_address(to: IpAddr) -> Option<IpAddr> {
    let any = match to {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(SocketAddr::new(to, 9)).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|address| !address.is_unspecified())
}

/// What the interface that has a local address is. One that is not known counts as working.
pub(crate) fn by_local_address(address: IpAddr) -> Network {
    let Some(interface) = interface(address) else { return Network { reachable: true, ..Network::default() } };
    Network {
        reachable: interface.running,
        wifi: is_wifi(&interface.name),
        cellular: is_cellular(&interface.name),
        ..Network::default()
    }
}

/// A network interface.
struct Interface {
    name: String,
    running: bool,
}

/// The interface that has an address.
#[cfg(unix)]
fn interface(wanted: IpAddr) -> Option<Interface> {
    let mut list: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: it writes a list, which is freed below.
    if unsafe { libc::getifaddrs(&raw mut list) } != 0 {
        return None;
    }
    let mut found = None;
    let mut next = list;
    // SAFETY: NULL or an element of the list.
    while let Some(entry) = unsafe { next.as_ref() } {
        next = entry.ifa_next;
        // SAFETY: the list's addresses are NULL or of the size that their family says, its names are strings.
        let (address, name) = unsafe { (ip_address(entry.ifa_addr), std::ffi::CStr::from_ptr(entry.ifa_name)) };
        if address == Some(wanted) {
            let running = entry.ifa_flags & libc::IFF_RUNNING as libc::c_uint != 0;
            found = Some(Interface { name: name.to_string_lossy().into_owned(), running });
            break;
        }
    }
    // SAFETY: made by getifaddrs, freed once.
    unsafe { libc::freeifaddrs(list) };
    found
}

/// # Safety
/// `address` is NULL or points to a socket address of the size that its family says.
#[cfg(unix)]
unsafe fn ip_address(address: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: promised by the caller.
    match i32::from(unsafe { address.as_ref() }?.sa_family) {
        libc::AF_INET => {
            // SAFETY: promised by the caller; getifaddrs aligns its addresses for every family.
            let address = unsafe { address.cast::<libc::sockaddr_in>().read_unaligned() };
            Some(IpAddr::V4(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr))))
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let address = unsafe { address.cast::<libc::sockaddr_in6>().read_unaligned() };
            Some(IpAddr::V6(Ipv6Addr::from(address.sin6_addr.s6_addr)))
        }
        _ => None,
    }
}

#[cfg(not(unix))]
fn interface(_: IpAddr) -> Option<Interface> {
    None
}

#[cfg(target_os = "linux")]
fn is_wifi(interface: &str) -> bool {
    let folder = std::path::Path::new("/sys/class/net").join(interface);
    folder.join("wireless").exists() || folder.join("phy80211").exists()
}

/// What the kernel calls a wireless wide area network, or a modem that has dialled.
#[cfg(target_os = "linux")]
fn is_cellular(interface: &str) -> bool {
    let file = std::path::Path::new("/sys/class/net").join(interface).join("uevent");
    let wide_area = std::fs::read_to_string(file).is_ok_and(|text| text.lines().any(|line| line == "DEVTYPE=wwan"));
    wide_area || ["wwan", "rmnet", "ppp"].iter().any(|name| interface.starts_with(name))
}

#[cfg(not(target_os = "linux"))]
fn is_wifi(_: &str) -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
fn is_cellular(_: &str) -> bool {
    false
}

#[cfg(target_os = "linux")]
pub(super) use linux::Monitor;
#[cfg(not(target_os = "linux"))]
pub(super) use unknown::Monitor;

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

    use crate::net::poller::{Interest, Poller};

    /// Hears from the kernel that links, addresses or routes have changed.
    pub(in crate::net) struct Monitor {
        socket: OwnedFd,
    }

    impl Monitor {
        /// `None` where the system does not let programs listen.
        pub(in crate::net) fn open(poller: &Poller) -> Option<Monitor> {
            const GROUPS: i32 = libc::RTMGRP_LINK
                | libc::RTMGRP_IPV4_IFADDR
                | libc::RTMGRP_IPV6_IFADDR
                | libc::RTMGRP_IPV4_ROUTE
                | libc::RTMGRP_IPV6_ROUTE;
            let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
            // SAFETY: no pointer is passed.
            let socket = unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE) };
            if socket < 0 {
                return None;
            }
            // SAFETY: just opened, and nobody else's.
            let socket = unsafe { OwnedFd::from_raw_fd(socket) };
            // SAFETY: all zero is an address.
            let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
            address.nl_groups = GROUPS.unsigned_abs();
            #[allow(clippy::cast_possible_truncation)] // a small number and a dozen bytes
            let size = {
                address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
                size_of::<libc::sockaddr_nl>() as libc::socklen_t
            };
            // SAFETY: the address is live and of this size.
            if unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size) } != 0 {
                return None;
            }
            let monitor = Monitor { socket };
            poller.watch(monitor.place()?, Interest { read: true, write: false }, false).ok()?;
            Some(monitor)
        }

        /// What its readiness is told by.
        pub(in crate::net) fn place(&self) -> Option<usize> {
            usize::try_from(self.socket.as_raw_fd()).ok()
        }

        /// Takes in what has come. What exactly does not matter, nor that some of it may have been lost.
        pub(in crate::net) fn drain(&self) {
            let mut buffer = [0u8; 4096];
            for _ in 0..64 {
                let (into, room) = (buffer.as_mut_ptr().cast(), buffer.len());
                // SAFETY: the buffer has this much room.
                let got = unsafe { libc::recv(self.socket.as_raw_fd(), into, room, libc::MSG_DONTWAIT) };
                let overrun = got < 0 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ENOBUFS);
                if got <= 0 && !overrun {
                    return;
                }
            }
        }

        pub(in crate::net) fn close(self, poller: &Poller) {
            if let Some(place) = self.place() {
                let _ = poller.forget(place);
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod unknown {
    use crate::net::poller::Poller;

    /// There is none: changes are found by looking now and then.
    pub(in crate::net) enum Monitor {}

    impl Monitor {
        pub(in crate::net) fn open(_: &Poller) -> Option<Monitor> {
            None
        }

        pub(in crate::net) fn place(&self) -> Option<usize> {
            match *self {}
        }

        pub(in crate::net) fn drain(&self) {
            match *self {}
        }

        pub(in crate::net) fn close(self, _: &Poller) {
            match self {}
        }
    }
}

/// The number of a network interface given by name or number: what a zone is to libcurl, which is built without looking up
/// names. `None` if there is no such interface.
pub(crate) fn interface_number(zone: &str) -> Option<String> {
    if zone.parse::<u32>().is_ok() {
        return Some(zone.to_owned());
    }
    #[cfg(unix)]
    {
        let name = std::ffi::CString::new(zone).ok()?;
        // SAFETY: the name ends in a NUL.
        let number = unsafe { libc::if_nametoindex(name.as_ptr()) };
        (number > 0).then(|| number.to_string())
    }
    // There it is built with that.
    #[cfg(not(unix))]
    Some(zone.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_reached_by_loopback() {
        let local = local_address(IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap();
        assert!(local.is_loopback());
        let network = by_local_address(local);
        assert_eq!(network, Network { reachable: true, ..Network::default() }, "neither wifi nor cellular");
    }

    #[test]
    fn an_address_of_nobody_belongs_to_no_interface() {
        #[cfg(unix)]
        assert!(interface(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 77))).is_none());
    }
}
