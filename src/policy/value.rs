//! A value as conditions see it: an attribute of the caller, a captured field of a record.

use std::borrow::Cow;

use super::decimal::Decimal;

/// A scalar or a list of scalars. Numbers keep their exactness: none is ever turned into a float.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// JSON `null`; equal only to itself.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number: one that is not whole, or has more than 64 bits.
    Decimal(Decimal),
    /// A string, unescaped.
    Text(String),
    /// A list of scalars.
    List(Vec<Value>),
}

impl Value {
    /// Reads the text of a JSON number, exactly. However a whole number of 64 bits is written, it is one.
    #[must_use]
    pub fn from_json_number(text: &str) -> Option<Self> {
        if let Ok(whole) = text.parse::<i64>() {
            return Some(Self::Integer(whole));
        }
        let number = Decimal::read(text)?;
        let whole = number.whole().and_then(|digits| digits.parse().ok());
        Some(whole.map_or(Self::Decimal(number), Self::Integer))
    }

    /// The digits of a whole number, and its sign.
    #[must_use]
    pub fn whole_number(&self) -> Option<String> {
        match self {
            Self::Integer(number) => Some(number.to_string()),
            Self::Decimal(number) => number.whole(),
            Self::Null | Self::Bool(_) | Self::Text(_) | Self::List(_) => None,
        }
    }

    /// The names in an attribute that names one or several, such as the tenants of a caller. A whole number stands for
    /// its digits and yes or no for its word, so that who is named by a number is named for everything that asks.
    pub fn names(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let all = if let Self::List(values) = self { values } else { std::slice::from_ref(self) };
        all.iter().filter_map(|value| match value {
            Self::Text(text) => Some(Cow::Borrowed(text.as_str())),
            Self::Integer(number) => Some(Cow::Owned(number.to_string())),
            Self::Bool(yes) => Some(Cow::Borrowed(if *yes { "true" } else { "false" })),
            Self::Decimal(number) => number.whole().map(Cow::Owned),
            Self::Null | Self::List(_) => None,
        })
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
