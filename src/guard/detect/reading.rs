//! A text as the detectors read it: digits of every script and width as plain ones, invisible characters
//! left out, and each character's place in the text that was given.

use std::ops::Range;

use crate::guard::mask::is_invisible;

/// A number of more digits is none that is looked for.
const LONGEST_NUMBER: usize = 40;

/// A text in plain characters.
#[derive(Debug)]
pub(super) struct Reading {
    chars: Vec<(char, Range<usize>)>,
    /// The runs of digits, each as long as it is.
    groups: Vec<Group>,
    /// The most digits of neighbouring runs that any glue holds together.
    most_together: usize,
}

/// A run of digits, by its characters' numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    start: usize,
    end: usize,
}

/// The most digits of a window, and so the most runs.
const MOST_DIGITS: usize = 19;

/// Neighbouring runs of digits taken together, 19 digits at most.
#[derive(Debug)]
pub(super) struct Window<'r> {
    reading: &'r Reading,
    groups: &'r [Group],
    digits: [u8; MOST_DIGITS],
    count: usize,
    lengths: [usize; MOST_DIGITS],
    /// Whether no further run stands beside it.
    pub(super) is_whole: bool,
    /// Whether a point stands between any two of the runs.
    pub(super) has_point: bool,
}

/// What may stand between two runs of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Glue {
    Space,
    Dash,
    Dot,
}

impl Reading {
    pub(super) fn of(text: &str) -> Self {
        let mut chars = Vec::with_capacity(text.len());
        for (start, char) in text.char_indices() {
            if !is_invisible(char) {
                chars.push((plain(char), start..start + char.len_utf8()));
            }
        }
        let groups = groups(&chars);
        let mut reading = Self { chars, groups, most_together: 0 };
        reading.most_together = reading.most_together();
        reading
    }

    fn most_together(&self) -> usize {
        let (mut most, mut together) = (0, 0);
        for (at, group) in self.groups.iter().enumerate() {
            together = if self.glue(at).is_some() { together } else { 0 };
            together += group.end - group.start;
            most = most.max(together);
        }
        most
    }

    pub(super) fn char(&self, at: usize) -> Option<char> {
        self.chars.get(at).map(|(char, _)| *char)
    }

    /// The character before this one.
    pub(super) fn before(&self, at: usize) -> Option<char> {
        self.char(at.checked_sub(1)?)
    }

    pub(super) fn length(&self) -> usize {
        self.chars.len()
    }

    /// Where these characters stand in the text.
    pub(super) fn place(&self, start: usize, end: usize) -> Option<Range<usize>> {
        let first = self.chars.get(start)?;
        let last = self.chars.get(end.checked_sub(1)?)?;
        Some(first.1.start..last.1.end)
    }

    /// Each run of digits alone and with those behind it, the longest first, up to `most` digits; `glues`
    /// may stand between. No run is ever split.
    ///
    /// `judge` says where a value ends, if one stands there; the search goes on behind it.
    pub(super) fn windows(
        &self,
        (least, most): (usize, usize),
        glues: &[Glue],
        judge: impl Fn(&Window<'_>) -> Option<usize>,
    ) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        if self.most_together < least {
            return found;
        }
        let mut first = 0;
        while let Some(start) = self.groups.get(first) {
            let reach = self.reach(first, most, glues);
            let hit = (first + 1..=reach).rev().find_map(|behind| {
                let window = self.window(first, behind, least, glues)?;
                Some((behind, self.place(start.start, judge(&window)?)?))
            });
            first = match hit {
                Some((behind, place)) => {
                    found.push(place);
                    behind
                }
                None => first + 1,
            };
        }
        found
    }

    /// The number behind the last run that can be taken with the first one.
    fn reach(&self, first: usize, most: usize, glues: &[Glue]) -> usize {
        let mut length = 0;
        let mut behind = first;
        while let Some(group) = self.groups.get(behind) {
            length += group.end - group.start;
            let is_glued = behind == first || self.glue(behind).is_some_and(|g| glues.contains(&g));
            if length > most || !is_glued {
                break;
            }
            behind += 1;
        }
        behind
    }

    /// The runs from `first` to before `behind`, if they have digits enough.
    fn window(
        &self,
        first: usize,
        behind: usize,
        least: usize,
        glues: &[Glue],
    ) -> Option<Window<'_>> {
        let groups = self.groups.get(first..behind)?;
        let (mut digits, mut count) = ([0; MOST_DIGITS], 0);
        let mut lengths = [0; MOST_DIGITS];
        for (group, length) in groups.iter().zip(&mut lengths) {
            *length = group.end - group.start;
            for (char, _) in self.chars.get(group.start..group.end)? {
                *digits.get_mut(count)? = u8::try_from(*char).ok()?;
                count += 1;
            }
        }
        if count < least {
            return None;
        }
        let is_glued = |at: usize| self.glue(at).is_some_and(|glue| glues.contains(&glue));
        let is_whole = (first == 0 || !is_glued(first)) && !is_glued(behind);
        let has_point = (first + 1..behind).any(|at| self.glue(at) == Some(Glue::Dot));
        Some(Window { reading: self, groups, digits, count, lengths, is_whole, has_point })
    }

    /// What stands between a run and the one before it.
    fn glue(&self, at: usize) -> Option<Glue> {
        let group = self.groups.get(at)?;
        let before = self.groups.get(at.checked_sub(1)?)?;
        let between = self.chars.get(before.end..group.start)?;
        let glue = |char: char| match char {
            ' ' => Some(Glue::Space),
            '-' => Some(Glue::Dash),
            '.' => Some(Glue::Dot),
            _ => None,
        };
        let mut kinds = between.iter().map(|(char, _)| glue(*char));
        match (kinds.next()??, kinds.next(), kinds.next(), kinds.next()) {
            (one, None, ..) => Some(one),
            // ` - `
            (Glue::Space, Some(Some(Glue::Dash)), Some(Some(Glue::Space)), None) => {
                Some(Glue::Dash)
            }
            _ => None,
        }
    }
}

impl Window<'_> {
    /// The digits as text.
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(self.digits()).unwrap_or_default()
    }

    /// The digits in ASCII.
    pub(super) fn digits(&self) -> &[u8] {
        self.digits.get(..self.count).unwrap_or_default()
    }

    /// How many digits each run has.
    pub(super) fn shape(&self) -> &[usize] {
        self.lengths.get(..self.groups.len()).unwrap_or_default()
    }

    /// Whether this is one run, or runs of one of these shapes.
    pub(super) fn is_shaped(&self, shapes: &[&[usize]]) -> bool {
        self.groups.len() == 1 || shapes.contains(&self.shape())
    }

    /// Whether all runs but the last have one length of two or more, and the last is no longer.
    pub(super) fn is_even(&self) -> bool {
        let Some((last, rest)) = self.shape().split_last() else { return false };
        let Some(first) = rest.first() else { return true };
        *first >= 2 && last <= first && rest.iter().all(|length| length == first)
    }

    /// The number of its first character.
    pub(super) fn start(&self) -> usize {
        self.groups.first().map_or(0, |group| group.start)
    }

    /// The number of the character behind it.
    pub(super) fn end(&self) -> usize {
        self.groups.last().map_or(0, |group| group.end)
    }

    /// The characters on either side.
    fn sides(&self) -> [Option<char>; 2] {
        [self.reading.before(self.start()), self.reading.char(self.end())]
    }

    /// Whether neither a letter of ours nor `_` stands beside it, nor `+` before it: it is no part of a name or
    /// a hash, and not dialled.
    pub(super) fn stands_alone(&self) -> bool {
        let is_word = |char: char| char.is_ascii_alphanumeric() || char == '_';
        let [before, behind] = self.sides();
        let is_part = before == Some('+') || [before, behind].into_iter().flatten().any(is_word);
        !is_part && self.is_no_fraction()
    }

    /// Whether it is not one side of a decimal point: a measured value has as many digits as a card.
    pub(super) fn is_no_fraction(&self) -> bool {
        let is_digit = |at: Option<usize>| {
            at.and_then(|at| self.reading.char(at)).is_some_and(|char| char.is_ascii_digit())
        };
        let [before, behind] = self.sides();
        let behind_point = before == Some('.') && is_digit(self.start().checked_sub(2));
        let before_point = behind == Some('.') && is_digit(self.end().checked_add(1));
        !behind_point && !before_point
    }

    pub(super) fn reading(&self) -> &Reading {
        self.reading
    }
}

fn groups(chars: &[(char, Range<usize>)]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (at, (char, _)) in chars.iter().enumerate() {
        if !char.is_ascii_digit() {
            continue;
        }
        match groups.last_mut() {
            Some(group) if group.end == at => group.end = at + 1,
            Some(_) | None => groups.push(Group { start: at, end: at + 1 }),
        }
    }
    groups
}

/// A digit of another script or width, a dash or a space as the plain one; others as they are.
fn plain(char: char) -> char {
    const ZEROS: [char; 11] = [
        '\u{660}',
        '\u{6f0}',
        '\u{966}',
        '\u{e50}',
        '\u{ed0}',
        '\u{ff10}',
        '\u{1d7ce}',
        '\u{1d7d8}',
        '\u{1d7e2}',
        '\u{1d7ec}',
        '\u{1d7f6}',
    ];
    match char {
        ..='\u{7f}' => char,
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{3000}' => ' ',
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' => '-',
        '\u{ff01}'..='\u{ff5e}' if !char.is_numeric() => {
            u32::from(char).checked_sub(0xfee0).and_then(char::from_u32).unwrap_or(char)
        }
        _ => {
            let value = ZEROS.iter().find_map(|zero| {
                u32::from(char).checked_sub(u32::from(*zero)).filter(|value| *value < 10)
            });
            value.and_then(|value| char::from_digit(value, 10)).unwrap_or(char)
        }
    }
}

/// A JSON number in plain digits, if it is a whole one: `4.2e1` and `42.0` are `42`.
pub(super) fn whole_number(number: &str) -> Option<String> {
    let number = number.strip_prefix('-').unwrap_or(number);
    let (mantissa, power) = match number.split_once(['e', 'E']) {
        Some((mantissa, power)) => (mantissa, power.parse::<i32>().ok()?),
        None => (number, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = [whole, fraction].concat();
    let point = i32::try_from(whole.len()).ok()?.checked_add(power)?;
    let point = usize::try_from(point).ok().filter(|point| *point <= LONGEST_NUMBER)?;
    while digits.len() < point {
        digits.push('0');
    }
    let beyond = digits.split_off(point);
    let is_whole = beyond.bytes().all(|byte| byte == b'0');
    is_whole.then(|| digits.trim_start_matches('0').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_whichever_way_they_are_written() {
        for (written, wanted) in [
            ("4111111111111111", Some("4111111111111111")),
            ("-4111111111111111", Some("4111111111111111")),
            ("4111111111111111.00", Some("4111111111111111")),
            ("4.111111111111111e15", Some("4111111111111111")),
            ("41111111111111110E-1", Some("4111111111111111")),
            ("0.4111111111111111e+16", Some("4111111111111111")),
            ("4111111111111111.5", None),
            ("1e999999999", None),
            ("1e99999999999999", None),
            ("0", Some("")),
        ] {
            assert_eq!(whole_number(written).as_deref(), wanted, "{written}");
        }
    }
}
