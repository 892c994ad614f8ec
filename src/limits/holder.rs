//! Whose a budget is: a person's, or what everybody of a role, tenant or partner shares.

use std::fmt;
use std::sync::Arc;

use super::text::encoded;

/// The first character of a shared holder's text; no account's name begins with it.
const SHARED: char = '%';

/// Whose a budget is, as terms name it. Who that is in a request, its [`Asker`] says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Holder {
    /// The person who asks.
    #[default]
    Person,
    /// Everybody who holds this role, together.
    Role(Arc<str>),
    /// Everybody of the asker's tenant, together; where there are several, of each of them.
    Tenant,
    /// Everybody of the asker's partner, together.
    Partner,
}

impl Holder {
    /// Whether others use the same budget, so that how it stands is nobody's business.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        *self != Self::Person
    }

    /// What it is, from a closed set: for metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Role(_) => "role",
            Self::Tenant => "tenant",
            Self::Partner => "partner",
        }
    }
}

/// In words for a caller, who is told neither the tenant nor the partner again.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person => f.write_str("person"),
            Self::Role(name) => write!(f, "role {name}"),
            Self::Tenant => f.write_str("tenant"),
            Self::Partner => f.write_str("partner"),
        }
    }
}

/// Who asks, as far as budgets look at it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asker<'a> {
    /// Under what the person is counted, over all accounts.
    pub person: &'a str,
    /// The tenants that the person is confined to. Who has none is counted together with all others who have none.
    pub tenants: &'a [String],
    /// The partner; who has none is counted by itself.
    pub partner: Option<&'a str>,
}

impl<'a> From<&'a str> for Asker<'a> {
    fn from(person: &'a str) -> Self {
        Self { person, ..Self::default() }
    }
}

impl Asker<'_> {
    /// The texts under which a holder is counted, in memory and in every store: one, but for several tenants.
    pub(super) fn texts(&self, holder: &Holder) -> Vec<Arc<str>> {
        match holder {
            Holder::Person => vec![self.person.into()],
            Holder::Role(name) => vec![shared("role", name)],
            Holder::Tenant if self.tenants.is_empty() => vec![shared("tenant", "")],
            Holder::Tenant => self.tenants.iter().map(|name| shared("tenant", name)).collect(),
            Holder::Partner => {
                let alone = || shared("alone", self.person);
                vec![self.partner.map_or_else(alone, |name| shared("partner", name))]
            }
        }
    }
}

/// `%role:teller`: printable ASCII without white space or brackets, whatever the name is.
fn shared(kind: &str, name: &str) -> Arc<str> {
    format!("{SHARED}{kind}:{}", encoded(name)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_holders_share_a_text() {
        let tenants = ["north}".to_owned(), "%role:teller".to_owned()];
        let asker = Asker { person: "ann", tenants: &tenants, partner: Some("ann") };
        let texts = |holder: &Holder| {
            asker.texts(holder).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(texts(&Holder::Person), "ann");
        assert_eq!(texts(&Holder::Role("teller".into())), "%role:teller");
        assert_eq!(texts(&Holder::Tenant), "%tenant:north%7D %tenant:%25role%3Ateller");
        assert_eq!(texts(&Holder::Partner), "%partner:ann");
    }

    #[test]
    fn who_has_no_tenant_is_counted_with_those_who_have_none_and_who_has_no_partner_alone() {
        let asker = Asker::from("ann");
        assert_eq!(asker.texts(&Holder::Tenant), [Arc::<str>::from("%tenant:")]);
        assert_eq!(asker.texts(&Holder::Partner), [Arc::<str>::from("%alone:ann")]);
    }
}
