//! Filters in tcpdump's language over frames of any link type.
//! Comes in: the expression, then frames. Goes out: whether a frame is wanted.
//! Refuses to know the language itself: libpcap compiles it, once for every link type that comes by.

use super::bpf::{Program, Seen};
use super::{CaptureError, Frame, LinkType};

/// Programs kept, one for each link type. Real captures have a handful; the numbers in a hostile file must not fill
/// memory, and frames of link types beyond this many are not accepted.
const MAX_PROGRAMS: usize = 64;

/// A filter expression, compiled for each link type when the first frame of that type comes.
#[derive(Debug, Clone)]
pub struct Filter {
    expression: String,
    /// `None` where the expression means nothing for the link type, which then accepts nothing.
    programs: Vec<(LinkType, Option<Program>)>,
}

impl Filter {
    /// Checks the expression by compiling it for Ethernet.
    ///
    /// # Errors
    /// [`CaptureError::Filter`] with the expression and libpcap's reason.
    pub fn new(expression: &str) -> Result<Self, CaptureError> {
        let program = compile(expression, LinkType::ETHERNET)
            .map_err(|reason| CaptureError::Filter { expression: expression.to_owned(), reason })?;
        Ok(Self { expression: expression.to_owned(), programs: vec![(LinkType::ETHERNET, Some(program))] })
    }

    /// Whether the filter wants this frame. Allocates only when a link type comes for the first time.
    pub fn accepts(&mut self, frame: &Frame<'_>) -> bool {
        let seen = Seen { data: frame.data, wire_len: frame.wire_len };
        self.program(frame.link).is_some_and(|program| program.accepts(seen))
    }

    /// The expression as it was given.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    fn program(&mut self, link: LinkType) -> Option<&Program> {
        let known = self.programs.iter().position(|(compiled, _)| *compiled == link);
        let place = match known {
            Some(place) => place,
            None if self.programs.len() < MAX_PROGRAMS => {
                self.programs.push((link, compile(&self.expression, link).ok()));
                self.programs.len() - 1
            }
            None => return None,
        };
        self.programs.get(place)?.1.as_ref()
    }
}

/// Has libpcap compile `expression`; the error is its reason.
fn compile(expression: &str, link: LinkType) -> Result<Program, String> {
    let dlt = ::pcap::Linktype(link.to_dlt());
    let handle = ::pcap::Capture::dead(dlt).map_err(|error| reason(&error))?;
    let program = handle.compile(expression, true).map_err(|error| reason(&error))?;
    let lines = program.get_instructions().iter().map(ToString::to_string);
    Program::read(lines).ok_or_else(|| "the compiled program has unknown instructions".to_owned())
}

/// Libpcap's own words, without the binding's around them.
pub(super) fn reason(error: &::pcap::Error) -> String {
    match error {
        ::pcap::Error::PcapError(words) => words.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    /// IPv4 TCP from 10.0.0.1:1024 to 10.0.0.2:80, without link header.
    const SYN: [u8; 40] = [
        0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 4, 0, 0, 80, 0, 0, 0, 1, 0, 0, 0,
        0, 0x50, 2, 0, 0, 0, 0, 0, 0,
    ];

    fn accepts(expression: &str, link: LinkType, data: &[u8]) -> bool {
        let frame = Frame { time: Timestamp::default(), link, wire_len: 1500, data };
        Filter::new(expression).unwrap().accepts(&frame)
    }

    #[test]
    fn one_expression_over_two_link_types() {
        let ethernet = [&[0; 12][..], &[8, 0], &SYN].concat();
        for (link, data) in [(LinkType::ETHERNET, &ethernet[..]), (LinkType::RAW, &SYN)] {
            assert!(accepts("tcp port 80", link, data));
            assert!(accepts("tcp[tcpflags] & tcp-syn != 0 and src net 10.0.0.0/30", link, data));
            assert!(!accepts("udp or tcp port 81", link, data));
            assert!(!accepts("tcp port 80", link, &data[..15]), "cut before the ports");
        }
        assert!(accepts("", LinkType::ETHERNET, &ethernet));
    }

    #[test]
    fn greater_means_the_wire() {
        assert!(accepts("greater 1500", LinkType::RAW, &SYN));
        assert!(!accepts("greater 1501", LinkType::RAW, &SYN));
    }

    #[test]
    fn a_link_type_without_meaning_accepts_nothing() {
        assert!(!accepts("tcp port 80", LinkType(u32::MAX), &SYN));
        assert!(!accepts("ether host 0:0:0:0:0:0", LinkType::RAW, &SYN));
    }

    #[test]
    fn many_link_types_stay_bounded() {
        let mut filter = Filter::new("tcp").unwrap();
        for number in 0..1000 {
            let frame =
                Frame { time: Timestamp::default(), link: LinkType(number), wire_len: 40, data: &SYN };
            filter.accepts(&frame);
        }
        assert_eq!(filter.programs.len(), MAX_PROGRAMS);
    }

    #[test]
    fn a_wrong_expression_is_told_with_libpcaps_reason() {
        let error = Filter::new("tcp prt 80").unwrap_err().to_string();
        assert!(error.starts_with("filter 'tcp prt 80': "), "{error}");
        assert!(error.len() > "filter 'tcp prt 80': ".len());
        assert!(Filter::new("host \0").is_err());
    }
}
