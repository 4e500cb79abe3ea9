//! IEEE 802.11: data frames in the clear, and the radio header in front of them.
//! Comes in: bytes. Goes out: what stands behind, an 802.2 header. Refuses to know management, control, and
//! anything that is encrypted.

use super::ether::{self, Next};
use super::link::{Peeled, skip, type_at};
use super::{Layers, Skip};

/// The frame type of data, in the bits of the first byte.
const DATA: u8 = 0x08;
const TYPE: u8 = 0x0c;
/// The subtypes that carry no data; those that carry a quality-of-service field.
const NO_DATA: u8 = 0x40;
const QUALITY: u8 = 0x80;
/// Flags of the second byte: to and from the distribution system (both: four addresses), encrypted, a field for
/// high throughput.
const BOTH_WAYS: u8 = 0x03;
const PROTECTED: u8 = 0x40;
const ORDER: u8 = 0x80;
/// The quality-of-service flag of several frames in one.
const AGGREGATED: u8 = 0x80;

/// Reads the header of a data frame.
pub(super) fn behind_ieee80211(bytes: &[u8]) -> Result<(Next, &[u8]), Skip> {
    let (len, aggregated) = data_header(bytes)?;
    let behind = skip(bytes, len)?;
    // Each of several frames has a header of two addresses and a length.
    let behind = if aggregated { skip(behind, 14)? } else { behind };
    Ok((Next::Llc, behind))
}

/// The length of a data frame's header, and whether several frames stand behind it.
fn data_header(bytes: &[u8]) -> Result<(usize, bool), Skip> {
    let [kind, flags] = *bytes.first_chunk::<2>().ok_or(Skip::CutShort)?;
    if kind & TYPE != DATA || kind & NO_DATA != 0 {
        return Err(Skip::NotIp);
    }
    if flags & PROTECTED != 0 {
        return Err(Skip::Encrypted);
    }
    let addresses = if flags & BOTH_WAYS == BOTH_WAYS { 30 } else { 24 };
    if kind & QUALITY == 0 {
        return Ok((addresses, false));
    }
    let throughput = if flags & ORDER != 0 { 4 } else { 0 };
    let quality = *bytes.get(addresses).ok_or(Skip::CutShort)?;
    Ok((addresses + 2 + throughput, quality & AGGREGATED != 0))
}

/// Peels a radiotap header (<https://www.radiotap.org>) and the 802.11 frame behind it.
pub(super) fn behind_radiotap<'a>(bytes: &'a [u8], layers: &mut Layers) -> Result<Peeled<'a>, Skip> {
    let len = usize::from(type_at(bytes, 2)?.swap_bytes());
    let frame = skip(bytes, len)?;
    let (next, behind) = behind_ieee80211(frame)?;
    let behind = if is_padded(bytes) { skip(behind, padding(frame, behind))? } else { behind };
    ether::follow(next, behind, layers)
}

/// Whether the radio pads the 802.11 header to a multiple of four: a flag of the field `flags`, which stands behind
/// the time of eight bytes where both are present, both announced in the first of the words that say what is.
fn is_padded(radiotap: &[u8]) -> bool {
    const TIME: u8 = 0x01;
    const FLAGS: u8 = 0x02;
    const MORE_WORDS: u8 = 0x80;
    const PADDED: u8 = 0x20;
    let words = radiotap.get(4..).unwrap_or_default().chunks_exact(4);
    let present = radiotap.get(4).copied().unwrap_or(0);
    let count = 1 + words.take_while(|word| word.get(3).is_some_and(|byte| byte & MORE_WORDS != 0)).count();
    let fields = 4 + count * 4;
    let flags_at = if present & TIME != 0 { fields.next_multiple_of(8) + 8 } else { fields };
    present & FLAGS != 0 && radiotap.get(flags_at).is_some_and(|flags| flags & PADDED != 0)
}

fn padding(frame: &[u8], behind: &[u8]) -> usize {
    let header = frame.len() - behind.len();
    header.next_multiple_of(4) - header
}
