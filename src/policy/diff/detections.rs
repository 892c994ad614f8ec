//! What changed in the patterns that are looked for in what people do. Looking less, or doing less about it, lets
//! more through.

use super::super::detections::{Detection, Detections, Terms};
use super::{Change, Class};

pub(super) fn changes(old: &Detections, new: &Detections) -> Vec<Change> {
    let nothing = Terms::default();
    let mut changes: Vec<Change> = Vec::new();
    for detection in Detection::ALL {
        let before = old.terms.get(&detection).unwrap_or(&nothing);
        let after = new.terms.get(&detection).unwrap_or(&nothing);
        changes.extend(of_one(detection, before, after));
    }
    for (less, more, class, said) in
        [(old, new, Class::Widens, "no longer"), (new, old, Class::Narrows, "now")]
    {
        for (less, more, name, what) in [
            (&less.canaries, &more.canaries, "canary", "canaries"),
            (&less.watched, &more.watched, "watched", "watched"),
        ] {
            let gone = less.iter().filter(|one| !more.contains(one)).count();
            if gone > 0 {
                let said = format!("{gone} data subjects are {said} {what}");
                changes.push(Change::of(class, format!("detection `{name}`: {said}")));
            }
        }
    }
    if old.hours != new.hours && old.hours.is_some() && new.hours.is_some() {
        let sentence = "detection `off-hours`: other hours".to_owned();
        changes.push(Change::of(Class::CannotTell, sentence));
    }
    if old.own != new.own && old.own.is_some() && new.own.is_some() {
        let sentence =
            "detections `own-record` and `colleague`: another entity or attribute".to_owned();
        changes.push(Change::of(Class::CannotTell, sentence));
    }
    changes.extend(released_by(old, new));
    changes
}

/// Where no role is named, whoever has the right at the interface releases.
fn released_by(old: &Detections, new: &Detections) -> Vec<Change> {
    let (before, after) = (&old.release, &new.release);
    match (before.is_empty(), after.is_empty()) {
        (true, true) => Vec::new(),
        (true, false) => {
            let sentence = format!("findings are released only by [{}]", after.join(", "));
            vec![Change::of(Class::Narrows, sentence)]
        }
        (false, true) => {
            let sentence = "findings are released by whoever has the right, whatever their role";
            vec![Change::of(Class::Widens, sentence.to_owned())]
        }
        (false, false) => {
            let more = after
                .iter()
                .filter(|role| !before.contains(role))
                .map(|role| Change::of(Class::Widens, format!("`{role}` releases findings")));
            let fewer = before.iter().filter(|role| !after.contains(role)).map(|role| {
                Change::of(Class::Narrows, format!("`{role}` no longer releases findings"))
            });
            more.chain(fewer).collect()
        }
    }
}

fn of_one(detection: Detection, before: &Terms, after: &Terms) -> Vec<Change> {
    let name = detection.name();
    let mut changes = Vec::new();
    let mut say = |class, sentence: String| {
        changes.push(Change::of(class, format!("detection `{name}`: {sentence}")));
    };
    if before.consequence != after.consequence {
        let word = |terms: &Terms| terms.consequence.map_or("off", |follows| follows.name());
        let less = after.consequence < before.consequence;
        let class = if less { Class::Widens } else { Class::Narrows };
        say(class, format!("{}, was {}", word(after), word(before)));
    }
    if before.consequence.is_none() || after.consequence.is_none() {
        return changes;
    }
    for (key, was, is, more_is_stricter) in [
        ("count", before.count, after.count, false),
        ("within", before.within_s, after.within_s, true),
        ("times", before.times, after.times, false),
        ("least", before.least, after.least, false),
        // Days of absence or in a row: fewer find more.
        ("days", before.days, after.days, detection == Detection::ExportThenLeave),
        ("percent", before.percent, after.percent, false),
    ] {
        if was != is {
            let class = if detection == Detection::NewPlace {
                // For so long a place is new, and for so long everything is known.
                Class::CannotTell
            } else if (is > was) == more_is_stricter {
                Class::Narrows
            } else {
                Class::Widens
            };
            say(class, format!("`{key}` {is}, was {was}"));
        }
    }
    for role in after.except.iter().filter(|role| !before.except.contains(role)) {
        say(Class::Widens, format!("holders of `{role}` are no longer looked at"));
    }
    for role in before.except.iter().filter(|role| !after.except.contains(role)) {
        say(Class::Narrows, format!("holders of `{role}` are looked at"));
    }
    changes
}
