//! What kind of value a field holds, which decides how it is masked. The formats are the guard's.

/// The kind of a field's value, as the catalogue names it (`kind: phone`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A person's name in any script.
    PersonName,
    /// A telephone number.
    Phone,
    /// A Chinese resident identity number (GB 11643).
    CnResidentId,
    /// A Korean resident registration number.
    KrResidentNumber,
    /// A Thai national identity number.
    ThNationalId,
    /// An Indonesian NIK.
    IdNik,
    /// Any of the four above: the value's own form says which.
    NationalId,
    /// An e-mail address.
    Email,
    /// A payment card number (PAN).
    BankCard,
    /// A bank or virtual account number.
    BankAccount,
    /// A date of birth.
    BirthDate,
    /// A postal address.
    Address,
    /// A postcode.
    Postcode,
    /// A user name.
    UserName,
    /// An IP address.
    IpAddress,
    /// A value of no special form: masked wholly.
    Opaque,
}

impl Kind {
    /// Every kind with the name that policy files use.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("person-name", Self::PersonName),
        ("phone", Self::Phone),
        ("cn-resident-id", Self::CnResidentId),
        ("kr-resident-number", Self::KrResidentNumber),
        ("th-national-id", Self::ThNationalId),
        ("id-nik", Self::IdNik),
        ("national-id", Self::NationalId),
        ("email", Self::Email),
        ("bank-card", Self::BankCard),
        ("bank-account", Self::BankAccount),
        ("birth-date", Self::BirthDate),
        ("address", Self::Address),
        ("postcode", Self::Postcode),
        ("user-name", Self::UserName),
        ("ip-address", Self::IpAddress),
        ("opaque", Self::Opaque),
    ];

    /// The kind that a policy file calls `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(n, _)| *n == name).map(|(_, kind)| *kind)
    }

    /// The name that policy files use.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, kind)| *kind == self).map_or("opaque", |(name, _)| name)
    }
}
