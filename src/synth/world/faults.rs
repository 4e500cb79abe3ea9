//! Stories in which something breaks and nobody attacks: the server, what is behind it, the line, the mirror.

use super::build::{Builder, Window, cause, episode};
use super::plan::{Mirror, Name, Origins, Sight};
use super::server::Fault;
use crate::service::Direction;
use crate::time::Span;

const SERVER: Name = ("glitch", "server");
const BACKEND: Name = ("glitch", "backend");
const NETWORK: Name = ("glitch", "network");

/// Silence or a closed port, by seed.
pub fn server_down(builder: &mut Builder) {
    let fault = if builder.rng.below(2) == 0 { Fault::Silent } else { Fault::Closed };
    down(builder, (fault, "the server stopped answering"));
}

/// No packet any more.
pub fn server_down_silent(builder: &mut Builder) {
    down(builder, (Fault::Silent, "the server does not send a packet any more"));
}

/// A closed port.
pub fn server_down_rst(builder: &mut Builder) {
    down(builder, (Fault::Closed, "the server refuses every connection"));
}

/// A system that accepts for a program that reads nothing.
pub fn server_stuck(builder: &mut Builder) {
    down(builder, (Fault::Stuck, "the server accepts connections and reads nothing"));
}

fn down(builder: &mut Builder, (fault, note): (Fault, &str)) {
    let window = builder.event();
    let service = builder.service(3.0);
    down_episode(builder, service, window, (fault, note));
}

/// A dead server within a story.
pub fn down_episode(builder: &mut Builder, service: usize, window: Window, (fault, note): (Fault, &str)) {
    builder.fault(service, fault, window);
    let mut it = episode(service, SERVER, window, note);
    // Whether a program or the backend behind it hangs is not seen from outside.
    it.also = if fault == Fault::Stuck { vec![BACKEND] } else { Vec::new() };
    it.within = (15, 60);
    builder.episode(it);
}

/// Pages wait for a backend.
pub fn slow_backend(builder: &mut Builder) {
    let window = builder.event();
    let service = builder.service(3.0);
    let page = (builder.rng.below(3) == 0).then(|| builder.rng.below(3) as u8);
    backend_episode(builder, service, window, page);
}

/// A slow backend within a story.
pub fn backend_episode(builder: &mut Builder, service: usize, window: Window, page: Option<u8>) {
    let fault = Fault::Backend { wait: builder.secs(8.0), errors: builder.near(0.2), page };
    builder.fault(service, fault, window);
    let note = "pages wait for a backend, a part of them fails, people reload";
    let mut it = episode(service, BACKEND, window, note);
    it.also = vec![SERVER];
    it.within = (30, 60);
    builder.episode(it);
}

/// 503 beyond the window that was announced.
pub fn maintenance_overrun(builder: &mut Builder) {
    let (begin, end) = builder.event_of(330.0);
    let service = builder.service(3.0);
    let middle = Span::from_nanos(begin.nanos() / 2 + end.nanos() / 2);
    let margin = Span::from_secs(20);
    builder.planned("patch night", "maintenance", (Span::from_nanos(begin.nanos() - margin.nanos()), middle));
    builder.fault(service, Fault::Errors { status: 503, share: 1.0 }, (begin, end));
    let mut it = episode(service, SERVER, (middle, end), "planned work does not end with its window");
    it.also = vec![BACKEND];
    it.within = (60, 60);
    builder.episode(it);
}

/// Nine in ten large segments are lost.
pub fn large_packet_loss(builder: &mut Builder) {
    let window = builder.event();
    let service = builder.service(3.0);
    large_loss_episode(builder, service, window);
}

/// A port that loses large packets, within a story.
pub fn large_loss_episode(builder: &mut Builder, service: usize, window: Window) {
    let lost = 0.82 + builder.rng.unit() * 0.15;
    builder.fault(service, Fault::LargeLoss(lost), window);
    let note = "segments of full size are lost on the way out, small ones are not";
    let mut it = episode(service, NETWORK, window, note);
    it.within = (30, 60);
    builder.episode(it);
}

/// One direction, with holes.
pub fn one_way_mirror(builder: &mut Builder) {
    let window = builder.event();
    let service = builder.service(3.0);
    let side = if builder.rng.below(2) == 0 { Direction::ToServer } else { Direction::ToClient };
    let sight = Sight { side: Some(side), lost: builder.near(0.3) };
    builder.mirror(Mirror { fault: Some((window.0, sight)) });
    // The mirror stays broken.
    let window = (window.0, builder.end());
    let name = ("unknown", "sensor");
    let mut it = episode(service, name, window, "the mirror shows one direction and loses packets");
    it.causes = vec![cause(name, Vec::new(), Origins::Nameless)];
    (it.unknown_is_right, it.silence_is_right) = (true, true);
    it.within = (60, 60);
    builder.episode(it);
}
