//! Characters that a reader does not see, or that change what they see.

/// Whether a text that holds this could imitate another on a screen: control characters, line separators, marks of the
/// writing direction, what has no width, and tags.
pub(crate) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_or_turns_is_unseen_and_letters_of_any_script_are_not() {
        assert!(
            "\n\u{1b}\u{85}\u{ad}\u{200b}\u{202e}\u{2066}\u{feff}\u{e0041}".chars().all(is_unseen)
        );
        assert!(!"Wáng 王丽 สมชาย 김 `\\ 👍 \u{301}".chars().any(is_unseen));
    }
}
