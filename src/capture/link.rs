//! Link types between three numberings: the registry's, that of file headers, and the kernel's DLT numbers.
//! Comes in: a number. Goes out: a [`LinkType`] of the registry, or the DLT number that libpcap wants.
//! Refuses to know what a header of that type looks like.

use super::LinkType;

/// The registry's numbers whose DLT number differs on Linux (libpcap `pcap-common.c`, `pcap/dlt.h`); all others are
/// the same in both.
const REGISTRY_AND_DLT: [(u32, i32); 6] = [(100, 11), (101, 12), (102, 15), (103, 16), (106, 19), (246, 18)];

/// Numbers that the BSDs gave to raw IP and that old files carry where the registry says 101.
const OLD_RAW: [u32; 2] = [12, 14];

impl LinkType {
    /// The type that a capture file's header names.
    pub(super) fn from_file(number: u32) -> Self {
        if OLD_RAW.contains(&number) { Self::RAW } else { Self(number) }
    }

    /// The type that libpcap names by its DLT number.
    pub(super) fn from_dlt(dlt: i32) -> Self {
        let known = REGISTRY_AND_DLT.iter().find(|(_, number)| *number == dlt);
        known.map_or_else(|| Self(u32::try_from(dlt).unwrap_or(u32::MAX)), |(link, _)| Self(*link))
    }

    /// The DLT number that libpcap wants for this type.
    pub(super) fn to_dlt(self) -> i32 {
        let known = REGISTRY_AND_DLT.iter().find(|(link, _)| *link == self.0);
        known.map_or_else(|| i32::try_from(self.0).unwrap_or(i32::MAX), |(_, dlt)| *dlt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_ip_has_three_numbers_and_one_meaning() {
        assert_eq!(LinkType::from_file(12), LinkType::RAW);
        assert_eq!(LinkType::from_dlt(12), LinkType::RAW);
        assert_eq!(LinkType::RAW.to_dlt(), 12);
        assert_eq!(LinkType::from_dlt(LinkType::ETHERNET.to_dlt()), LinkType::ETHERNET);
        assert_eq!(LinkType::from_dlt(-1), LinkType(u32::MAX));
    }
}
