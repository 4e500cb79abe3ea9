//! The options at the end of a pcapng block.
//! Comes in: the bytes after the block's fixed fields. Goes out: code and value of each option.
//! Refuses to know what an option means; a damaged list simply ends.

use super::reader::Order;

/// Walks over a block's options.
#[derive(Debug, Clone)]
pub(super) struct Options<'a> {
    bytes: &'a [u8],
    order: Order,
}

/// One option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockOption<'a> {
    /// Its number, whose meaning depends on the block.
    pub code: u16,
    /// Its value without padding.
    pub value: &'a [u8],
}

impl<'a> Options<'a> {
    pub(super) fn new(bytes: &'a [u8], order: Order) -> Self {
        Self { bytes, order }
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = BlockOption<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (&[code_a, code_b, len_a, len_b], rest) = self.bytes.split_first_chunk::<4>()?;
        let code = self.order.u16([code_a, code_b]);
        let len = usize::from(self.order.u16([len_a, len_b]));
        if code == 0 {
            return None;
        }
        let value = rest.get(..len)?;
        self.bytes = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some(BlockOption { code, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_end_at_their_end_mark_or_where_they_are_damaged() {
        let bytes = [1, 0, 3, 0, b'a', b'b', b'c', 0, 9, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0];
        let codes: Vec<_> =
            Options::new(&bytes, Order::Little).map(|option| (option.code, option.value)).collect();
        assert_eq!(codes, [(1, &b"abc"[..]), (9, &[6][..])]);
        let too_long = [1, 0, 200, 0, b'a'];
        assert_eq!(Options::new(&too_long, Order::Little).count(), 0);
        let mut unpadded_last = Options::new(&[0, 9, 0, 1, 6], Order::Big);
        assert_eq!(unpadded_last.next().unwrap().value, [6]);
        assert_eq!(unpadded_last.next(), None);
    }
}
