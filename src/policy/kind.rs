//! What kind of value a field holds and in which style it is masked, as policy files name them. What the
//! masked forms look like is the guard's.

/// The kind of a field's value, as the catalogue names it (`kind: phone`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A person's name in any script.
    PersonName,
    /// A telephone number.
    Phone,
    /// A Chinese resident identity number (GB 11643).
    CnResidentId,
    /// A Korean resident or alien registration number.
    KrResidentNumber,
    /// A Thai national identity number.
    ThNationalId,
    /// An Indonesian NIK.
    IdNik,
    /// Any of the four above: the value's own form says which.
    NationalId,
    /// A passport number.
    Passport,
    /// The number of a permit to reside, to enter or to travel.
    ResidencePermit,
    /// The number of a driver's licence.
    DriverLicence,
    /// The number of a licence to practise, such as a physician's.
    ProfessionalLicence,
    /// An e-mail address.
    Email,
    /// A payment card number (PAN).
    BankCard,
    /// A bank or virtual account number.
    BankAccount,
    /// An amount of money: a balance, a price.
    Amount,
    /// A date of birth.
    BirthDate,
    /// A postal address.
    Address,
    /// A postcode.
    Postcode,
    /// A latitude, a longitude, or both.
    Location,
    /// A vehicle's number plate.
    Plate,
    /// A user name.
    UserName,
    /// An IP address.
    IpAddress,
    /// A MAC address, or the number or identifier of a device.
    DeviceId,
    /// The number of the room somebody stays in.
    Room,
    /// What is said of somebody's health.
    HealthText,
    /// Notes, remarks, chats.
    FreeText,
    /// A value of no special form.
    Opaque,
}

/// How much of a value its masked form shows. What a style means depends on the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Style {
    /// All is masked.
    All,
    /// The beginning, the end or both, by the custom of the value's country.
    Ends,
    /// More than the ends: enough to compare with a document that is shown.
    Verify,
    /// The first two characters.
    First2,
    /// The first three characters.
    First3,
    /// The first four characters.
    First4,
    /// The first six digits.
    First6,
    /// The first seven digits.
    First7,
    /// The last character.
    Last1,
    /// The last two characters.
    Last2,
    /// The last three characters.
    Last3,
    /// The last four characters.
    Last4,
    /// The issuer's six digits and the last four (PCI DSS 3.4.1).
    BinLast4,
    /// The surname where the script tells it, else the initials.
    Surname,
    /// The end of the given name, without the surname.
    Last,
    /// The first character of each part.
    Initials,
    /// What stands behind the `@`.
    Domain,
    /// The city.
    City,
    /// The city and the district.
    District,
    /// The year.
    Year,
    /// A range that the value lies in.
    Band,
    /// Two decimals of a degree, about a kilometre.
    TwoDecimals,
    /// One decimal of a degree, about ten kilometres.
    OneDecimal,
    /// An address less its third octet, or less its last 16 bits (IPv6).
    Octet,
    /// The network that an address lies in.
    Network,
}

/// How a value is masked: its kind, and a style that the kind has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mask {
    kind: Kind,
    style: Style,
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
        ("passport", Self::Passport),
        ("residence-permit", Self::ResidencePermit),
        ("driver-licence", Self::DriverLicence),
        ("professional-licence", Self::ProfessionalLicence),
        ("email", Self::Email),
        ("bank-card", Self::BankCard),
        ("bank-account", Self::BankAccount),
        ("amount", Self::Amount),
        ("birth-date", Self::BirthDate),
        ("address", Self::Address),
        ("postcode", Self::Postcode),
        ("location", Self::Location),
        ("plate", Self::Plate),
        ("user-name", Self::UserName),
        ("ip-address", Self::IpAddress),
        ("device-id", Self::DeviceId),
        ("room", Self::Room),
        ("health-text", Self::HealthText),
        ("free-text", Self::FreeText),
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

    /// The grade below which a field of this kind is rarely meant to stand; 1 where the kind says little.
    ///
    /// Least, not typical: an address is 3 in a customer's record and 2 on a parcel that somebody delivers.
    #[must_use]
    pub fn usual_grade(self) -> u8 {
        match self {
            Self::HealthText => 4,
            Self::CnResidentId
            | Self::KrResidentNumber
            | Self::ThNationalId
            | Self::IdNik
            | Self::NationalId
            | Self::Passport
            | Self::ResidencePermit
            | Self::DriverLicence
            | Self::Phone
            | Self::BankCard
            | Self::BankAccount
            | Self::BirthDate => 3,
            Self::PersonName
            | Self::Email
            | Self::Address
            | Self::Location
            | Self::IpAddress
            | Self::DeviceId => 2,
            Self::ProfessionalLicence
            | Self::Amount
            | Self::Postcode
            | Self::Plate
            | Self::UserName
            | Self::Room
            | Self::FreeText
            | Self::Opaque => 1,
        }
    }

    /// The styles that its values may be masked in, the one that holds unless a policy says
    /// otherwise first.
    #[must_use]
    pub fn styles(self) -> &'static [Style] {
        match self {
            Self::PersonName => {
                &[Style::Surname, Style::Last, Style::Initials, Style::First4, Style::All]
            }
            Self::CnResidentId => &[Style::Ends, Style::Verify, Style::All],
            Self::KrResidentNumber => &[Style::All, Style::First6, Style::First7],
            Self::ThNationalId => &[Style::Last1, Style::Last3, Style::All],
            Self::IdNik => &[Style::Ends, Style::Last2, Style::All],
            Self::Passport | Self::ResidencePermit => &[Style::Ends, Style::Last2, Style::All],
            Self::DriverLicence => &[Style::Ends, Style::First6, Style::Last2, Style::All],
            Self::ProfessionalLicence => &[Style::Last2, Style::All],
            Self::Phone => &[Style::Ends, Style::Last4, Style::All],
            Self::Email => &[Style::First2, Style::First3, Style::Domain, Style::All],
            Self::BankCard => &[Style::Last4, Style::BinLast4, Style::All],
            Self::BankAccount => &[Style::Last4, Style::All],
            Self::Amount => &[Style::Band, Style::All],
            Self::BirthDate => &[Style::Year, Style::Band, Style::All],
            Self::Address => &[Style::City, Style::District, Style::All],
            Self::Postcode => &[Style::First3, Style::All],
            Self::Location => &[Style::TwoDecimals, Style::OneDecimal, Style::All],
            Self::UserName => &[Style::First2, Style::All],
            Self::IpAddress => &[Style::Octet, Style::Network, Style::All],
            Self::NationalId | Self::Plate | Self::DeviceId => &[Style::Ends, Style::All],
            Self::Room | Self::HealthText | Self::FreeText | Self::Opaque => &[Style::All],
        }
    }
}

impl Style {
    /// Every style with the name that policy files use.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("all", Self::All),
        ("ends", Self::Ends),
        ("verify", Self::Verify),
        ("first2", Self::First2),
        ("first3", Self::First3),
        ("first4", Self::First4),
        ("first6", Self::First6),
        ("first7", Self::First7),
        ("last1", Self::Last1),
        ("last2", Self::Last2),
        ("last3", Self::Last3),
        ("last4", Self::Last4),
        ("bin-last4", Self::BinLast4),
        ("surname", Self::Surname),
        ("last", Self::Last),
        ("initials", Self::Initials),
        ("domain", Self::Domain),
        ("city", Self::City),
        ("district", Self::District),
        ("year", Self::Year),
        ("band", Self::Band),
        ("two-decimals", Self::TwoDecimals),
        ("one-decimal", Self::OneDecimal),
        ("octet", Self::Octet),
        ("network", Self::Network),
    ];

    /// The name that policy files use.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, style)| *style == self).map_or("all", |(name, _)| name)
    }
}

impl Mask {
    /// The mask of a kind in its first style.
    #[must_use]
    pub fn of(kind: Kind) -> Self {
        Self { kind, style: kind.styles().first().copied().unwrap_or(Style::All) }
    }

    /// The mask of a kind in the style that a policy file calls `name`, if the kind has it.
    #[must_use]
    pub fn styled(kind: Kind, name: &str) -> Option<Self> {
        let style = kind.styles().iter().find(|style| style.name() == name)?;
        Some(Self { kind, style: *style })
    }

    /// The kind.
    #[must_use]
    pub fn kind(self) -> Kind {
        self.kind
    }

    /// The style.
    #[must_use]
    pub fn style(self) -> Style {
        self.style
    }

    /// Every mask there is.
    pub fn every() -> impl Iterator<Item = Self> {
        Kind::NAMES.iter().flat_map(|(_, kind)| {
            kind.styles().iter().map(|style| Self { kind: *kind, style: *style })
        })
    }
}
