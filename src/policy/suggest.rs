//! "Did you mean": the nearest of the accepted words.

/// What would be accepted instead of `word`: the nearest candidate if one is near, and the list.
pub(super) fn accepted(word: &str, candidates: &[&str]) -> String {
    const SHOWN: usize = 24;
    let mut help = String::new();
    if let Some(near) = nearest(word, candidates) {
        help.push_str(&format!("did you mean `{near}`? "));
    }
    let shown: Vec<String> = candidates.iter().take(SHOWN).map(|c| format!("`{c}`")).collect();
    if shown.is_empty() {
        help.push_str("none is defined");
        return help;
    }
    help.push_str(&format!("accepted: {}", shown.join(", ")));
    if candidates.len() > SHOWN {
        help.push_str(&format!(" and {} more", candidates.len() - SHOWN));
    }
    help
}

fn nearest<'c>(word: &str, candidates: &[&'c str]) -> Option<&'c str> {
    const WORD_LIMIT: usize = 64;
    const CANDIDATE_LIMIT: usize = 1000;
    if word.len() > WORD_LIMIT {
        return None;
    }
    let near = candidates.iter().take(CANDIDATE_LIMIT).filter(|c| c.len() <= WORD_LIMIT);
    let best = near.map(|candidate| (distance(word, candidate), *candidate)).min()?;
    (best.0 <= word.chars().count().max(3) / 3).then_some(best.1)
}

/// Edits (insert, delete, replace, swap of neighbours) from one word to the other.
fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.to_lowercase().chars().collect();
    let to: Vec<char> = to.to_lowercase().chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (row, a) in from.iter().enumerate() {
        let mut line = vec![row + 1];
        for (column, b) in to.iter().enumerate() {
            let at = |cells: &[usize], n: usize| cells.get(n).copied().unwrap_or(usize::MAX / 2);
            let replaced = at(&above, column) + usize::from(a != b);
            let mut least = replaced.min(at(&above, column + 1) + 1).min(at(&line, column) + 1);
            let swapped = row > 0
                && column > 0
                && from.get(row - 1) == Some(b)
                && to.get(column - 1) == Some(a);
            if swapped {
                least = least.min(at(&before, column - 1) + 1);
            }
            line.push(least);
        }
        before = std::mem::replace(&mut above, line);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        assert_eq!(nearest("claer", &["clear", "masked"]), Some("clear"));
        assert_eq!(nearest("telller", &["teller", "analyst"]), Some("teller"));
        assert_eq!(nearest("supervisor", &["teller"]), None);
        assert_eq!(
            (distance("ab", "ba"), distance("", "abc"), distance("kitten", "sitting")),
            (1, 3, 3)
        );
    }

    #[test]
    fn what_is_accepted_is_always_said() {
        assert_eq!(accepted("x", &[]), "none is defined");
        assert_eq!(accepted("viw", &["view"]), "did you mean `view`? accepted: `view`");
    }
}
