//! The history of a connection in [Zeek's letters](https://docs.zeek.org/en/master/scripts/base/protocols/conn/main.zeek.html):
//! upper case from the originator, lower case from the responder. Comes in: a letter and who it is of. Goes out: a text.

use std::fmt;

use super::Role;

/// What happened on a connection, in order of first appearance.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct History {
    letters: [u8; MAX_LETTERS],
    len: u8,
}

/// Letters that are kept. Each kind stands once or, where it counts, once for each power of ten; only SYN, FIN and RST
/// with ever new numbers go on, and of them the first ones tell.
const MAX_LETTERS: usize = 23;

/// Writes what one end does into the history.
pub(super) struct Pen<'h> {
    /// Whose end it is.
    pub role: Role,
    pub history: &'h mut History,
}

impl Pen<'_> {
    /// Adds an upper-case letter.
    pub fn write(&mut self, letter: u8) {
        self.history.add(letter, self.role);
    }

    /// Adds a letter that stands for a number of times: the first, the tenth, the hundredth.
    pub fn write_scaled(&mut self, letter: u8, times: u32) {
        if is_power_of_ten(times) {
            self.write(letter);
        }
    }
}

/// Says that the roles of the two ends were taken the other way round than the first packet went.
const FLIPPED: u8 = b'^';

impl History {
    /// Adds an upper-case `letter` of `role`.
    pub(in crate::flow) fn add(&mut self, letter: u8, role: Role) {
        let letter = match role {
            Role::Originator => letter,
            Role::Responder => letter.to_ascii_lowercase(),
        };
        if let Some(place) = self.letters.get_mut(usize::from(self.len)) {
            *place = letter;
            self.len += 1;
        }
    }

    /// Exchanges the roles: what was the originator's is the responder's.
    pub fn flip(&mut self) {
        for letter in self.letters.iter_mut().take(usize::from(self.len)) {
            *letter = if letter.is_ascii_uppercase() {
                letter.to_ascii_lowercase()
            } else {
                letter.to_ascii_uppercase()
            };
        }
        if self.letters.first() != Some(&FLIPPED) {
            self.letters.rotate_right(1);
            self.letters[0] = FLIPPED;
            self.len = self.len.saturating_add(1).min(MAX_LETTERS as u8);
        }
    }

    /// Whether the originator's SYN came first and nothing but SYNs before its reset.
    pub(super) fn is_attempt_reset(&self) -> bool {
        let letters = self.as_str().trim_start_matches(char::from(FLIPPED));
        let Some(rest) = letters.strip_prefix('S') else { return false };
        rest.chars().find(|letter| "HAFGIQR".contains(*letter)) == Some('R')
    }

    /// The letters.
    pub fn as_str(&self) -> &str {
        let letters = self.letters.get(..usize::from(self.len)).unwrap_or_default();
        std::str::from_utf8(letters).unwrap_or_default()
    }
}

fn is_power_of_ten(mut number: u32) -> bool {
    while number >= 10 && number.is_multiple_of(10) {
        number /= 10;
    }
    number == 1
}

impl fmt::Debug for History {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(letters: &str) -> History {
        let mut history = History::default();
        for letter in letters.bytes() {
            let role = if letter.is_ascii_lowercase() { Role::Responder } else { Role::Originator };
            history.add(letter.to_ascii_uppercase(), role);
        }
        history
    }

    #[test]
    fn what_repeats_is_told_by_powers_of_ten() {
        let mut told = History::default();
        for times in 1..=1_000 {
            Pen { role: Role::Responder, history: &mut told }.write_scaled(b'T', times);
        }
        assert_eq!(told.as_str(), "tttt");
    }

    #[test]
    fn a_flip_exchanges_the_sides_once() {
        let mut flipped = history("H");
        flipped.flip();
        assert_eq!(flipped.as_str(), "^h");
        flipped.flip();
        assert_eq!(flipped.as_str(), "^H");
    }

    #[test]
    fn a_reset_attempt_has_nothing_between() {
        assert!(history("SR").is_attempt_reset());
        assert!(history("SSaR").is_attempt_reset());
        assert!(!history("SAR").is_attempt_reset());
        assert!(!history("hR").is_attempt_reset());
    }

    #[test]
    fn a_full_history_stays_as_it_is() {
        let mut full = history(&"S".repeat(90));
        assert_eq!(full.as_str().len(), MAX_LETTERS);
        full.flip();
        assert_eq!(full.as_str(), format!("^{}", "s".repeat(MAX_LETTERS - 1)));
    }
}
