//! A value as conditions see it: an attribute of the caller, a captured field of a record.

use std::borrow::Cow;

/// A scalar or a list of scalars. Numbers keep their exactness: whole numbers are never turned into floats.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// JSON `null`; equal only to itself.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Decimal(f64),
    /// A string, unescaped.
    Text(String),
    /// A list of scalars.
    List(Vec<Value>),
}

impl Value {
    /// Reads the text of a JSON number: whole numbers up to 64 bits exactly, others as the nearest float.
    #[must_use]
    pub fn from_json_number(text: &str) -> Option<Self> {
        if let Ok(whole) = text.parse::<i64>() {
            return Some(Self::Integer(whole));
        }
        text.parse::<f64>().ok().filter(|n| n.is_finite()).map(Self::Decimal)
    }

    /// The names in an attribute that names one or several, such as the tenants of a caller. A whole number stands for
    /// its digits and yes or no for its word, so that who is named by a number is named for everything that asks.
    pub fn names(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let all = if let Self::List(values) = self { values } else { std::slice::from_ref(self) };
        all.iter().filter_map(|value| match value {
            Self::Text(text) => Some(Cow::Borrowed(text.as_str())),
            Self::Integer(number) => Some(Cow::Owned(number.to_string())),
            Self::Bool(yes) => Some(Cow::Borrowed(if *yes { "true" } else { "false" })),
            Self::Null | Self::Decimal(_) | Self::List(_) => None,
        })
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
