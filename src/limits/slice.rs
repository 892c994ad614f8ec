//! Slices: which requests a budget counts, by declared purpose, action and route.

use std::fmt;
use std::sync::Arc;

use super::text::{decoded, encoded};

/// How a slice of what is asked in an emergency is written, behind all others.
const EMERGENCY: &str = "grant=emergency";
/// Its place.
const LAST: i32 = 4;

/// What a request is, as far as slices look at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Occasion {
    /// The purpose declared.
    pub purpose: Option<Arc<str>>,
    /// What is done.
    pub action: Arc<str>,
    /// The route.
    pub route: Arc<str>,
    /// Whether it is asked under a grant that opened in an emergency.
    pub in_emergency: bool,
}

/// The requests that a budget counts: those that meet each of its parts. The default counts all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slice(Option<Arc<Parts>>);

/// Names in order, each list without doubles; an empty list asks nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Parts {
    purposes: Vec<Arc<str>>,
    actions: Vec<Arc<str>>,
    routes: Vec<Arc<str>>,
    /// Only what is asked in an emergency.
    emergency: bool,
}

impl Slice {
    /// The requests with one of these purposes, actions and routes; a list that is empty means any.
    #[must_use]
    pub fn of<'n>(
        purposes: impl IntoIterator<Item = &'n str>,
        actions: impl IntoIterator<Item = &'n str>,
        routes: impl IntoIterator<Item = &'n str>,
    ) -> Self {
        let parts = Parts {
            purposes: sorted(purposes.into_iter().map(Arc::from).collect()),
            actions: sorted(actions.into_iter().map(Arc::from).collect()),
            routes: sorted(routes.into_iter().map(Arc::from).collect()),
            emergency: false,
        };
        Self::with(parts)
    }

    /// Of these only the ones that are asked under a grant that opened in an emergency.
    #[must_use]
    pub fn in_emergency(self) -> Self {
        let Parts { purposes, actions, routes, emergency: _ } =
            self.0.as_deref().cloned().unwrap_or_default();
        Self::with(Parts { purposes, actions, routes, emergency: true })
    }

    fn with(parts: Parts) -> Self {
        Self((parts != Parts::default()).then(|| Arc::new(parts)))
    }

    /// Whether it counts every request.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.0.is_none()
    }

    /// Whether it counts this request.
    pub(super) fn includes(&self, occasion: &Occasion) -> bool {
        let Some(parts) = &self.0 else { return true };
        let among = |names: &[Arc<str>], name: &str| {
            names.is_empty() || names.iter().any(|known| **known == *name)
        };
        let purpose = match &occasion.purpose {
            Some(purpose) => among(&parts.purposes, purpose),
            None => parts.purposes.is_empty(),
        };
        (occasion.in_emergency || !parts.emergency)
            && purpose
            && among(&parts.actions, &occasion.action)
            && among(&parts.routes, &occasion.route)
    }

    /// Reads what stands behind the `;` of a budget's name: `purpose=a,b`, `action=…`, `route=…`, `grant=emergency`, in that order.
    pub(super) fn parse<'t>(texts: impl Iterator<Item = &'t str>) -> Option<Self> {
        let mut parts = Parts::default();
        let mut least = 0;
        for text in texts {
            if text == EMERGENCY && least < LAST {
                (least, parts.emergency) = (LAST, true);
                continue;
            }
            let (key, names) = text.split_once('=')?;
            let (place, list) = match key {
                "purpose" => (1, &mut parts.purposes),
                "action" => (2, &mut parts.actions),
                "route" => (3, &mut parts.routes),
                _ => return None,
            };
            if place <= least {
                return None;
            }
            least = place;
            let read: Option<Vec<Arc<str>>> =
                names.split(',').map(|name| decoded(name).map(Arc::from)).collect();
            let is_canonical = |names: &Vec<Arc<str>>| {
                names.iter().all(|name| !name.is_empty()) && sorted(names.clone()) == *names
            };
            *list = read.filter(is_canonical)?;
        }
        Some(Self((parts != Parts::default()).then(|| Arc::new(parts))))
    }
}

fn sorted(mut names: Vec<Arc<str>>) -> Vec<Arc<str>> {
    names.sort_unstable();
    names.dedup();
    names
}

/// `;purpose=marketing;route=guests.list`; nothing for all requests.
impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(parts) = &self.0 else { return Ok(()) };
        let lists =
            [("purpose", &parts.purposes), ("action", &parts.actions), ("route", &parts.routes)];
        for (key, names) in lists.into_iter().filter(|(_, names)| !names.is_empty()) {
            let names: Vec<String> = names.iter().map(|name| encoded(name)).collect();
            write!(f, ";{key}={}", names.join(","))?;
        }
        if parts.emergency {
            write!(f, ";{EMERGENCY}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn occasion(purpose: Option<&str>, action: &str, route: &str) -> Occasion {
        let (action, route) = (action.into(), route.into());
        Occasion { purpose: purpose.map(Arc::from), action, route, in_emergency: false }
    }

    #[test]
    fn a_slice_counts_what_meets_each_of_its_parts() {
        let slice = Slice::of(["care", "billing"], ["view"], []);
        assert!(slice.includes(&occasion(Some("care"), "view", "guests.view")));
        assert!(slice.includes(&occasion(Some("billing"), "view", "guests.list")));
        assert!(!slice.includes(&occasion(Some("care"), "search", "guests.view")));
        assert!(!slice.includes(&occasion(None, "view", "guests.view")));
        assert!(Slice::default().includes(&occasion(None, "view", "guests.view")));
    }

    #[test]
    fn its_text_is_the_same_in_whatever_order_it_is_written() {
        let one = Slice::of(["b", "a", "a"], [], ["r"]);
        assert_eq!(one.to_string(), ";purpose=a,b;route=r");
        assert_eq!(one, Slice::of(["a", "b"], [], ["r"]));
    }

    #[test]
    fn what_is_asked_in_an_emergency_counts_where_it_counts_alone_and_with_all() {
        let slice = Slice::of([], ["view"], []).in_emergency();
        let asked = occasion(None, "view", "guests.view");
        assert!(!slice.includes(&asked));
        let in_emergency = Occasion { in_emergency: true, ..asked };
        assert!(slice.includes(&in_emergency) && Slice::default().includes(&in_emergency));
        assert!(!slice.includes(&Occasion { action: "search".into(), ..in_emergency }));
        assert_eq!(slice.to_string(), ";action=view;grant=emergency");
        for slice in [slice, Slice::default().in_emergency()] {
            let text = slice.to_string();
            assert_eq!(Slice::parse(text.split(';').skip(1)), Some(slice));
        }
        for text in
            ["grant=emergency;action=view", "grant=emergency;grant=emergency", "grant=other"]
        {
            assert_eq!(Slice::parse(text.split(';')), None, "{text}");
        }
    }

    #[test]
    fn another_order_doubles_or_unknown_keys_do_not_read() {
        for text in [
            "route=r;purpose=a",
            "purpose=b,a",
            "purpose=a,a",
            "zone=x",
            "purpose",
            "purpose=a;purpose=b",
        ] {
            assert_eq!(Slice::parse(text.split(';')), None, "{text}");
        }
    }
}
