//! Interfaces on a real kernel: order, clock, filter, loss and disappearance.
//! Comes in: pairs of virtual interfaces, made where the rights are there. Goes out: verdicts, or "not run".
//! Refuses to touch any interface but its own and the loopback's packets.

use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use ::pcap::Capture;

use super::{CaptureError, Change, Drops, LineState, LinkType, Live, LiveOptions, LiveSet, Source, Step};
use crate::time::Timestamp;

/// A pair of virtual interfaces that goes with the value; `None` without the rights to make one.
struct Veth {
    near: String,
    far: String,
}

impl Veth {
    fn new(name: &str) -> Option<Self> {
        let (near, far) = (format!("{name}n"), format!("{name}f"));
        let made = ip(&["link", "add", &near, "type", "veth", "peer", "name", &far]);
        let pair = made.then_some(Self { near, far })?;
        // Without IPv6 the kernel sends nothing of its own.
        for interface in [&pair.near, &pair.far] {
            let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6"), "1");
        }
        (ip(&["link", "set", &pair.near, "up"]) && ip(&["link", "set", &pair.far, "up"])).then_some(pair)
    }

    fn send(&self, count: u8) {
        let mut handle = Capture::from_device(self.far.as_str()).unwrap().open().unwrap();
        for number in 0..count {
            let mut packet = [0xff_u8; 60];
            packet[12..15].copy_from_slice(&[0x88, 0xb5, number]);
            handle.sendpacket(&packet[..]).unwrap();
        }
    }
}

impl Drop for Veth {
    fn drop(&mut self) {
        ip(&["link", "del", &self.near]);
    }
}

fn ip(arguments: &[&str]) -> bool {
    Command::new("ip").args(arguments).output().is_ok_and(|output| output.status.success())
}

fn options() -> LiveOptions {
    LiveOptions { buffer_size: 2 << 20, ..LiveOptions::default() }
}

/// The third byte after the addresses of every packet that comes within `steps` steps.
fn numbers(source: &mut dyn Source, steps: usize) -> (Vec<u8>, Vec<CaptureError>) {
    let (mut numbers, mut errors) = (Vec::new(), Vec::new());
    for _ in 0..steps {
        match source.step() {
            Ok(Step::Frame) => numbers.push(source.frame().data[14]),
            Ok(_) => {}
            Err(error) => errors.push(error),
        }
    }
    (numbers, errors)
}

#[test]
fn an_interface_that_is_not_there_is_told() {
    let names = ["nowhere0".to_owned(), "nowhere1".to_owned()];
    let errors = LiveSet::open(&names, &options()).err().unwrap();
    assert_eq!(errors.len(), 2);
    assert!(errors[1].to_string().starts_with("nowhere1: "), "{}", errors[1]);
}

#[test]
fn packets_come_in_order_with_nanoseconds_and_without_loss() {
    let Some(veth) = Veth::new("bglive") else {
        println!("not run: no rights to make a veth pair");
        return;
    };
    let mut live = Live::open(&veth.near, &options()).unwrap();
    assert_eq!(live.step().unwrap(), Step::Idle);
    veth.send(100);
    assert_eq!(live.step().unwrap(), Step::Frame);
    assert!(live.frame().time > Timestamp::from_secs(1_500_000_000));
    let (seen, errors) = numbers(&mut live, 110);
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(seen, (1..100).collect::<Vec<u8>>());
    let frame = live.frame();
    assert_eq!((frame.link, frame.wire_len, frame.data.len()), (LinkType::ETHERNET, 60, 60));
    assert_eq!(live.drops(), Drops::default());
}

#[test]
fn the_kernel_filters() {
    let Some(veth) = Veth::new("bgfilt") else {
        println!("not run: no rights to make a veth pair");
        return;
    };
    let filter = |text: &str| LiveOptions { filter: Some(text.to_owned()), ..options() };
    let mut live = Live::open(&veth.near, &filter("ether[14] = 7 or ether[14] = 9")).unwrap();
    veth.send(20);
    assert_eq!(numbers(&mut live, 10).0, [7, 9]);
    assert!(matches!(Live::open(&veth.near, &filter("prt 80")), Err(CaptureError::Filter { .. })));
}

#[test]
fn down_and_up_goes_on_and_a_deleted_interface_is_one_error() {
    let (Some(first), Some(second)) = (Veth::new("bgone"), Veth::new("bgtwo")) else {
        println!("not run: no rights to make a veth pair");
        return;
    };
    let mut set = LiveSet::open(&[first.near.clone(), second.near.clone()], &options()).unwrap();
    ip(&["link", "set", &first.near, "down"]);
    numbers(&mut set, 4);
    ip(&["link", "set", &first.near, "up"]);
    first.send(3);
    second.send(5);
    let (mut seen, errors) = numbers(&mut set, 20);
    seen.sort_unstable();
    assert_eq!((seen, errors.len()), (vec![0, 0, 1, 1, 2, 2, 3, 4], 0));
    drop(first);
    let (_, errors) = numbers(&mut set, 20);
    assert_eq!(errors.len(), 1, "{errors:?}");
    second.send(2);
    assert_eq!(numbers(&mut set, 10).0, [0, 1]);
    drop(second);
    assert_eq!(numbers(&mut set, 10).1.len(), 1);
    assert_eq!(set.step().unwrap(), Step::Idle, "it waits for them to come back");
    assert_eq!(set.drops(), Drops::default());
}

#[test]
fn an_interface_that_comes_back_is_read_again() {
    let Some(veth) = Veth::new("bgback") else {
        println!("not run: no rights to make a veth pair");
        return;
    };
    let name = veth.near.clone();
    let (mut set, errors) = LiveSet::open_or_wait(&[name.clone(), "nowhere0".to_owned()], &options());
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(!set.is_whole());
    drop(veth);
    numbers(&mut set, 10);
    let lost = |set: &LiveSet| set.states().filter(|(_, state)| *state == LineState::Lost).count();
    assert_eq!(lost(&set), 2);
    assert_eq!(set.tend(Duration::from_secs(1)), []);
    let veth = Veth::new("bgback").unwrap();
    assert_eq!(set.tend(Duration::from_millis(1_100)), [], "not yet");
    let back = set.tend(Duration::from_millis(1_250));
    assert_eq!(back, [Change { interface: name, what: LineState::Up }]);
    veth.send(3);
    assert_eq!(numbers(&mut set, 10).0, [0, 1, 2]);
}

#[test]
fn a_renamed_interface_is_followed_and_a_link_that_is_down_is_told() {
    let Some(veth) = Veth::new("bgname") else {
        println!("not run: no rights to make a veth pair");
        return;
    };
    let mut set = LiveSet::open(std::slice::from_ref(&veth.near), &options()).unwrap();
    // The kernel tells of links up to a second late.
    let mut looks = 0;
    let mut becomes = |set: &mut LiveSet, what: LineState| {
        (1..400).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            looks += 1;
            set.tend(Duration::from_secs(looks)).iter().any(|change| change.what == what)
        })
    };
    assert!(ip(&["link", "set", &veth.near, "down"]));
    assert!(becomes(&mut set, LineState::Down));
    assert!(!set.is_whole());
    assert!(ip(&["link", "set", &veth.near, "name", "bgnewname"]));
    assert!(ip(&["link", "set", "bgnewname", "up"]));
    assert!(becomes(&mut set, LineState::Renamed("bgnewname".to_owned())));
    assert!(set.is_whole());
    veth.send(2);
    assert_eq!(numbers(&mut set, 10).0, [0, 1]);
    assert!(ip(&["link", "set", "bgnewname", "down"]));
    assert!(ip(&["link", "set", "bgnewname", "name", &veth.near]));
}

#[test]
fn a_full_ring_counts_its_drops() {
    let options = LiveOptions { buffer_size: 1 << 20, ..LiveOptions::default() };
    let Ok(mut live) = Live::open("lo", &options) else {
        println!("not run: no rights to read lo");
        return;
    };
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..2_000 {
        let _ = socket.send_to(&[0; 9_000], socket.local_addr().unwrap());
    }
    let before = live.drops();
    assert!(before.kernel > 0);
    assert!(live.drops().kernel >= before.kernel);
}
