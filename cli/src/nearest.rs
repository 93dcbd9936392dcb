//! The known word that a mistyped one was meant to be.

/// The word nearest to what was typed, if it is near: at most two letters off, or three in long
/// words, and never all of them.
#[must_use]
pub fn nearest<'a>(typed: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed: Vec<char> = typed.to_lowercase().chars().take(CHARS_MAX).collect();
    words
        .into_iter()
        .map(|word| (distance(&typed, word), word))
        .filter(|(distance, word)| *distance <= 2 + word.len() / 10 && *distance < word.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Letters to insert, delete, replace or swap with their neighbour to make one word of the other.
pub(crate) fn distance(typed: &[char], word: &str) -> usize {
    let word: Vec<char> = word.chars().collect();
    let mut before = vec![];
    let mut row: Vec<usize> = (0..=word.len()).collect();
    for (i, &a) in typed.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, &b) in word.iter().enumerate() {
            let mut cost = (row[j] + usize::from(a != b))
                .min(row[j + 1] + 1)
                .min(next[j] + 1);
            if i > 0 && j > 0 && a == word[j - 1] && typed[i - 1] == b {
                let swapped: &Vec<usize> = &before;
                cost = cost.min(swapped[j - 1] + 1);
            }
            next.push(cost);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[word.len()]
}

/// Longer than any word there is: comparing takes the product of both lengths.
const CHARS_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_understood_and_a_guess_is_not_made() {
        let words = ["time_format", "theme", "mouse"];
        assert_eq!(nearest("time_fromat", words), Some("time_format"));
        assert_eq!(nearest("Timefrmat", words), Some("time_format"));
        assert_eq!(nearest("mosue", words), Some("mouse"));
        assert_eq!(nearest("colour", words), None);
        assert_eq!(nearest(&"x".repeat(100_000), words), None);
    }
}
