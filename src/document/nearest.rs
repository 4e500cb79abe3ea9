//! The nearest right word to a wrong one. Comes in: what was written and the words that would have been right.
//! Goes out: the one that was probably meant, or none.

/// Names the word of `known` that `written` was probably meant to be: at most 2 edits away (Damerau–Levenshtein), or a
/// third of its length where that is more. Of equally near words the first is taken.
pub fn nearest<'w>(written: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let length = written.chars().count();
    if length > MAX_WORD {
        return None;
    }
    let written = written.to_lowercase();
    let limit = 2.max(length / 3).min(length.saturating_sub(1));
    known
        .into_iter()
        .filter(|word| word.len() <= MAX_WORD && word.chars().count().abs_diff(length) <= limit)
        .map(|word| (strsim::damerau_levenshtein(&written, &word.to_lowercase()), word))
        .filter(|(edits, _)| *edits <= limit)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, word)| word)
}

/// No key, name or word of ours is longer; the distance costs the product of both lengths.
const MAX_WORD: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_word_that_was_meant() {
        assert_eq!(nearest("treshold", ["timespan", "threshold"]), Some("threshold"));
        assert_eq!(nearest("Whne", ["where", "when"]), Some("when"));
        assert_eq!(nearest("HIGH", ["low", "high"]), Some("high"));
        assert_eq!(
            nearest("foreign-concentraton-x", ["foreign-concentration"]),
            Some("foreign-concentration")
        );
    }

    #[test]
    fn is_silent_where_nothing_is_near() {
        assert_eq!(nearest("banana", ["when", "where"]), None);
        assert_eq!(nearest("ip", ["id", "to"]), Some("id"));
        assert_eq!(nearest("x", ["id", "to"]), None);
        assert_eq!(nearest(&"a".repeat(5_000), ["id"]), None);
    }
}
