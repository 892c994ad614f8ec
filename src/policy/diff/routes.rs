//! Routes of two programs, paired by the requests that meet them and not by their names.

use std::collections::BTreeSet;

use super::super::survey::{BodyView, OpaqueView, RouteView, Survey, Zones};
use super::cover::{Cause, Gap, Side, gaps};
use super::hidden::Hidden;
use super::taken::lapses;
use super::words::Words;
use super::{Change, Class};

pub(super) fn changes(old: &Survey, new: &Survey) -> Vec<Change> {
    let mut comparing = Comparing { old, new, changes: Vec::new(), words: Words::default() };
    for after in &new.routes {
        comparing.route(after);
    }
    for before in &old.routes {
        if !new.routes.iter().any(|after| meet(before, after)) {
            comparing.removed(before);
        }
    }
    comparing.uncovered_paths();
    let Comparing { mut changes, words, .. } = comparing;
    changes.extend(words.into_changes());
    changes
}

/// Whether one request may meet both.
fn meet(before: &RouteView, after: &RouteView) -> bool {
    before.request == after.request && !before.zones.and(&after.zones).is_nowhere()
}

struct Comparing<'a> {
    old: &'a Survey,
    new: &'a Survey,
    changes: Vec<Change>,
    words: Words,
}

impl<'a> Comparing<'a> {
    fn add(&mut self, class: Class, route: &RouteView, sentence: String) {
        self.changes.push(Change::of(class, sentence).on(&route.name));
    }

    fn route(&mut self, after: &'a RouteView) {
        let pairs: Vec<&'a RouteView> =
            self.old.routes.iter().filter(|before| meet(before, after)).collect();
        let wider = if self.new.opens(after) { Class::Widens } else { Class::Neutral };
        if pairs.is_empty() {
            let sentence = format!("`{}` is published: {}", after.name, after.request);
            self.add(wider, after, sentence);
            let new = Side { survey: self.new, route: Some(after) };
            let old = Side { survey: self.old, route: None };
            self.words.gains(after, old, &gaps(new, old, &after.zones));
            return;
        }
        if let Some(zones) = new_zones(after, &pairs) {
            let sentence = format!("`{}` now exists in {zones} too", after.name);
            self.add(wider, after, sentence);
        }
        for before in pairs {
            self.pair(before, after);
        }
    }

    fn pair(&mut self, before: &'a RouteView, after: &'a RouteView) {
        let zones = before.zones.and(&after.zones);
        let old = Side { survey: self.old, route: Some(before) };
        let new = Side { survey: self.new, route: Some(after) };
        self.facts(before, after);
        let gains = gaps(new, old, &zones);
        let losses = gaps(old, new, &zones);
        if new.opens() {
            let hidden = Hidden { old, new, before, after, gains: &gains };
            self.changes.extend(hidden.changes());
        }
        self.words.losses(after, new, &without_echoes(losses, &gains));
        self.words.gains(after, old, &gains);
        self.words.lapses(after, &lapses(old, new), true);
        self.words.lapses(after, &lapses(new, old), false);
    }

    /// What a route is, whoever may use it.
    fn facts(&mut self, before: &RouteView, after: &RouteView) {
        let name = &after.name;
        let is_open = self.new.opens(after);
        let unclear = if is_open { Class::CannotTell } else { Class::Neutral };
        if before.name != after.name {
            let sentence = format!("`{}` is called `{name}` now", before.name);
            self.add(Class::Neutral, after, sentence);
        }
        if !before.zones.is_within(&after.zones) {
            let sentence = format!("`{name}` exists in fewer zones");
            self.add(Class::Narrows, after, sentence);
        }
        if before.upstream != after.upstream {
            let sentence = format!(
                "`{name}` asks the upstream `{}`, was `{}`",
                after.upstream, before.upstream
            );
            self.add(unclear, after, sentence);
        }
        if before.action != after.action {
            let sentence =
                format!("`{name}` is of the action {}, was {}", after.action, before.action);
            self.add(unclear, after, sentence);
        }
        if before.reads != after.reads {
            let sentence = format!("`{name}` reads the record before a change in another way");
            self.add(unclear, after, sentence);
        }
        let tenants = |entity: &str| {
            self.old.entities.get(entity).is_some_and(|entity| entity.tenant.is_some())
        };
        let gone = before.main.iter().find(|e| tenants(e.as_ref()) && !after.main.contains(e));
        if let Some(entity) = gone {
            let sentence = format!("`{name}` is no longer for `{entity}`, whose tenant was tested");
            self.add(unclear, after, sentence);
        }
        self.bodies(before, after, is_open);
        self.answers(before, after, unclear);
        self.heads(before, after, is_open);
        self.retries(before, after);
        self.sending(before, after, unclear);
        self.watermarks(before, after, is_open);
        for parameter in before.query.keys().filter(|name| !after.query.contains_key(*name)) {
            let sentence = format!("`{name}` no longer takes the parameter `{parameter}`");
            self.add(Class::Narrows, after, sentence);
        }
    }

    fn bodies(&mut self, before: &RouteView, after: &RouteView, is_open: bool) {
        let none = BodyView::default();
        let pairs = [
            ("the answer of", &before.returns, &after.returns),
            ("the body of", &before.accepts, &after.accepts),
        ];
        for (what, before, now) in pairs {
            let (before, now) = (before.as_ref().unwrap_or(&none), now.as_ref().unwrap_or(&none));
            let said = |body: &BodyView| -> BTreeSet<String> {
                let places = body.places.iter().map(|p| format!("`{}` at {}", p.entity, p.path));
                places.chain(body.passes.keys().map(ToString::to_string)).collect()
            };
            let (old, new) = (said(before), said(now));
            let name = &after.name;
            for (path, counts) in &now.passes {
                let (class, how) = match (before.passes.get(path), counts) {
                    (Some(true), false) if is_open => (Class::Widens, "passes also where"),
                    (Some(true), false) => (Class::Neutral, "passes also where"),
                    (Some(false), true) => (Class::Narrows, "no longer passes where"),
                    (Some(true), true) | (Some(false), false) | (None, _) => continue,
                };
                let sentence = format!("{path} in {what} `{name}` {how} records are withheld");
                self.add(class, after, sentence);
            }
            let more: Vec<&str> = new.difference(&old).map(String::as_str).collect();
            let less: Vec<&str> = old.difference(&new).map(String::as_str).collect();
            if !more.is_empty() {
                let class = if is_open { Class::Widens } else { Class::Neutral };
                let sentence = format!("{what} `{name}` may hold more: {}", more.join(", "));
                self.add(class, after, sentence);
            }
            if !less.is_empty() {
                let sentence = format!("{what} `{name}` may hold less: not {}", less.join(", "));
                self.add(Class::Narrows, after, sentence);
            }
        }
    }

    /// In which form a body is taken.
    fn sending(&mut self, before: &RouteView, after: &RouteView, unclear: Class) {
        let name = &after.name;
        let ((was, dropped), (is, drops)) = (&before.sending, &after.sending);
        for form in is.difference(was).filter(|_| before.accepts.is_some()) {
            self.add(unclear, after, format!("`{name}` takes a body sent as {form}"));
        }
        for form in was.difference(is).filter(|_| after.accepts.is_some()) {
            self.add(Class::Narrows, after, format!("`{name}` takes no body sent as {form}"));
        }
        let (change, how) = match (&before.uploads, &after.uploads) {
            (was, is) if was == is => (None, ""),
            (None, _) => (Some(unclear), "takes files"),
            (Some(_), None) => (Some(Class::Narrows), "takes no files"),
            (Some(_), Some(_)) => (Some(unclear), "takes other files, or has others scan them"),
        };
        if let Some(class) = change {
            self.add(class, after, format!("`{name}` {how}"));
        }
        match (dropped, drops) {
            (false, true) => {
                let sentence = format!("`{name}` leaves out what may not be written, and goes on");
                self.add(unclear, after, sentence);
            }
            (true, false) => {
                let sentence = format!("`{name}` refuses a body with what may not be written");
                self.add(Class::Narrows, after, sentence);
            }
            (true, true) | (false, false) => {}
        }
    }

    /// How a request is sent once more; what may be seen does not depend on it.
    fn retries(&mut self, before: &RouteView, after: &RouteView) {
        if before.repeats == after.repeats {
            return;
        }
        let how = match after.repeats {
            Some(true) => "are sent once more also if they may have been acted on",
            Some(false) => "are sent once more only if not a byte was written",
            None => "are sent once more as the upstream says",
        };
        self.add(Class::Neutral, after, format!("requests of `{}` {how}", after.name));
    }

    /// What passes of heads.
    fn heads(&mut self, before: &RouteView, after: &RouteView, is_open: bool) {
        let class = if is_open { Class::Widens } else { Class::Neutral };
        for (how, name) in after.headers.difference(&before.headers) {
            self.add(class, after, format!("`{}` {how} `{name}`", after.name));
        }
        for (how, name) in before.headers.difference(&after.headers) {
            self.add(Class::Narrows, after, format!("`{}` no longer {how} `{name}`", after.name));
        }
    }

    /// In which form an answer comes: judged, unread or always the same.
    fn answers(&mut self, before: &RouteView, after: &RouteView, unclear: Class) {
        let name = &after.name;
        if before.constant != after.constant {
            let (class, how) = if after.constant {
                (Class::Narrows, "is answered alike whatever the backend says")
            } else {
                (unclear, "is answered as the backend answers")
            };
            self.add(class, after, format!("`{name}` {how}"));
        }
        let types = |more: &RouteView, less: &RouteView| {
            more.formats.difference(&less.formats).copied().collect::<Vec<_>>().join(", ")
        };
        if before.returns.is_some() && after.returns.is_some() {
            let (more, less) = (types(after, before), types(before, after));
            if !more.is_empty() {
                self.add(unclear, after, format!("`{name}` may answer as {more}"));
            }
            if !less.is_empty() {
                self.add(Class::Narrows, after, format!("`{name}` no longer answers as {less}"));
            }
        }
        match (&before.opaque, &after.opaque) {
            (None, Some(is)) => {
                let sentence = match is.socket {
                    Some(_) => format!("`{name}` is a WebSocket, which passes unread both ways"),
                    None => format!("the answer of `{name}` passes unread"),
                };
                self.add(unclear, after, sentence);
            }
            (Some(_), None) => {
                let sentence = format!("the answer of `{name}` no longer passes unread");
                self.add(Class::Narrows, after, sentence);
            }
            (Some(was), Some(is)) if was != is => {
                let class = if is_within(is, was) { Class::Narrows } else { unclear };
                let sentence = match is.socket {
                    Some(_) if was.socket.is_some() => {
                        format!("the WebSocket `{name}` passes on other terms")
                    }
                    Some(_) => format!("`{name}` is a WebSocket, which passes unread both ways"),
                    None => format!("other answers of `{name}` pass unread"),
                };
                self.add(class, after, sentence);
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
    }

    /// Where the records of an export lead back to their reader.
    fn watermarks(&mut self, before: &RouteView, after: &RouteView, is_open: bool) {
        let lost = if is_open { Class::Widens } else { Class::Neutral };
        let (was, is) = (&before.watermark, &after.watermark);
        if was.field != is.field {
            let (class, sentence) = match &is.field {
                None => (
                    lost,
                    format!(
                        "records of `{}` have no field with their reader's mark any more",
                        after.name
                    ),
                ),
                Some(field) => (
                    if was.field.is_none() { Class::Narrows } else { Class::Neutral },
                    format!("records of `{}` have their reader's mark in `{field}`", after.name),
                ),
            };
            self.add(class, after, sentence);
        }
        if was.order != is.order {
            let (class, how) =
                if is.order { (Class::Narrows, "tells") } else { (lost, "no longer tells") };
            let sentence =
                format!("the order of the records of `{}` {how} their reader's mark", after.name);
            self.add(class, after, sentence);
        }
    }

    fn removed(&mut self, before: &RouteView) {
        let mut roles = BTreeSet::new();
        for rule in self.old.rules_of(before).filter(|rule| rule.opens(before)) {
            roles.extend(rule.audience.parts().iter().map(ToString::to_string));
        }
        let class = if roles.is_empty() { Class::Neutral } else { Class::Narrows };
        let sentence = format!("`{}` is no longer published: {}", before.name, before.request);
        let roles = roles.into_iter().collect();
        self.changes.push(Change { roles, ..Change::of(class, sentence).on(&before.name) });
    }

    /// A path that is gone no longer stands before another one with a parameter in its place.
    fn uncovered_paths(&mut self) {
        let shapes: BTreeSet<String> = self.new.routes.iter().map(RouteView::shape).collect();
        for before in self.old.routes.iter().filter(|route| !shapes.contains(&route.shape())) {
            let uncovered =
                |after: &&RouteView| before.stands_before(after) && self.new.opens(after);
            let Some(after) = self.new.routes.iter().find(uncovered) else { continue };
            let sentence = format!(
                "requests for the path of `{}`, which is gone, now meet `{}`",
                before.name, after.name
            );
            self.add(Class::CannotTell, after, sentence);
        }
    }
}

/// Whether whatever passes unread on these terms would pass on the others, for no fewer callers.
fn is_within(terms: &OpaqueView, others: &OpaqueView) -> bool {
    let size = match (terms.size, others.size) {
        (Some(mine), Some(theirs)) => mine <= theirs,
        (mine, theirs) => mine == theirs,
    };
    let socket = match (&terms.socket, &others.socket) {
        (Some(mine), Some(theirs)) => mine.is_within(theirs),
        (mine, theirs) => mine.is_none() && theirs.is_none(),
    };
    size && socket
        && terms.types.is_subset(&others.types)
        && terms.grade >= others.grade
        && terms.about == others.about
}

/// The zones in which the route did not exist.
fn new_zones(after: &RouteView, pairs: &[&RouteView]) -> Option<String> {
    match &after.zones {
        Zones::All if pairs.iter().any(|before| before.zones == Zones::All) => None,
        Zones::All => Some("every zone".to_owned()),
        Zones::These(zones) => {
            let existed = |zone: &str| {
                let only = Zones::These(BTreeSet::from([zone.into()]));
                pairs.iter().any(|before| only.is_within(&before.zones))
            };
            let new: Vec<&str> =
                zones.iter().map(AsRef::as_ref).filter(|zone| !existed(zone)).collect();
            (!new.is_empty()).then(|| format!("the zone {}", new.join(", ")))
        }
    }
}

/// A condition that changed is told once, as what it is now.
fn without_echoes<'a>(losses: Vec<Gap<'a>>, gains: &[Gap<'a>]) -> Vec<Gap<'a>> {
    let is_echo = |loss: &Gap<'_>| {
        gains.iter().any(|gain| {
            let alike = matches!(
                (&gain.cause, &loss.cause),
                (Cause::Condition(_), Cause::Condition(_)) | (Cause::Demand(_), Cause::Demand(_))
            );
            alike && gain.who == loss.who && gain.item == loss.item
        })
    };
    losses.into_iter().filter(|loss| !is_echo(loss)).collect()
}
