//! The form of a JSON value, as far as a schema says it and a catalogue can.

/// A form; what a catalogue cannot say is left out with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A text, number or boolean, with its `type` and `format`.
    Scalar {
        kind: String,
        format: String,
    },
    Object(Vec<Member>),
    Array(Box<Shape>),
    /// A record of an entity, by index.
    Entity(usize),
    LeftOut(&'static str),
}

/// A member of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) shape: Shape,
}

/// As many `[]` as a field's name may have.
const ARRAY_DEPTH_LIMIT: usize = 4;

impl Shape {
    /// An object of the members, or the reason why nothing is left of it.
    pub(super) fn object(members: Vec<Member>) -> Self {
        if members.iter().any(|member| member.shape.has_fields()) {
            Self::Object(members)
        } else {
            Self::LeftOut("an object without members that are named")
        }
    }

    pub(super) fn array(self) -> Self {
        let (inner, depth) = self.innermost();
        if let Self::LeftOut(reason) = inner {
            return Self::LeftOut(reason);
        }
        if depth >= ARRAY_DEPTH_LIMIT {
            return Self::LeftOut("more than four arrays in each other");
        }
        Self::Array(Box::new(self))
    }

    /// What stands in the arrays, and in how many.
    pub(super) fn innermost(&self) -> (&Self, usize) {
        let mut depth = 0;
        let mut inner = self;
        while let Self::Array(next) = inner {
            depth += 1;
            inner = next;
        }
        (inner, depth)
    }

    /// Whether a catalogue can name anything in it.
    pub(super) fn has_fields(&self) -> bool {
        match self {
            Self::Scalar { .. } | Self::Entity(_) => true,
            Self::Object(members) => members.iter().any(|member| member.shape.has_fields()),
            Self::Array(inner) => inner.has_fields(),
            Self::LeftOut(_) => false,
        }
    }

    pub(super) fn is_scalar(&self) -> bool {
        matches!(self, Self::Scalar { .. })
    }

    /// The entities that stand in it.
    pub(super) fn entities(&self, found: &mut Vec<usize>) {
        match self {
            Self::Scalar { .. } | Self::LeftOut(_) => {}
            Self::Object(members) => members.iter().for_each(|m| m.shape.entities(found)),
            Self::Array(inner) => inner.entities(found),
            Self::Entity(entity) => found.push(*entity),
        }
    }

    /// Joins the members of two objects; of two members with one name the first stays.
    pub(super) fn joined(self, other: Self) -> Self {
        match (self, other) {
            (Self::Object(mut members), Self::Object(more)) => {
                for member in more {
                    if !members.iter().any(|known| known.name == member.name) {
                        members.push(member);
                    }
                }
                Self::Object(members)
            }
            (Self::LeftOut(_), other) => other,
            (first, _) => first,
        }
    }
}
