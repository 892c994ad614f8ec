//! What there is to tell, and how a target chooses.

use serde::{Deserialize, Serialize};

/// What somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Somebody asks for a grant.
    GrantAsked,
    /// A grant was approved or refused.
    GrantDecided,
    /// A grant came to its end: revoked, expired or used up.
    GrantEnded,
    /// Somebody opened a grant in an emergency.
    BreakGlass,
    /// A look at what an emergency was used for is due.
    ReviewDue,
    /// A command waits for a second person.
    RequestWaits,
    /// A detection found something.
    Finding,
    /// A value was found where none of its kind belongs.
    ValueDetected,
    /// The backend has a field that nobody declared.
    NewField,
    /// The backend gave records of a foreign tenant.
    ForeignTenant,
    /// There may be a copy of a passkey.
    ClonedPasskey,
    /// Somebody else writes where gates tell each other what was done.
    ForgedNotice,
    /// The store that several gates share is lost.
    StoreLost,
    /// The log does not get to one of its places.
    ShippingBehind,
    /// A place has no backup that is new enough.
    BackupOverdue,
    /// A witness of the log cosigns nothing.
    WitnessSilent,
    /// A witness saw another log than this one.
    WitnessDisagrees,
    /// A listener's certificate ends soon.
    CertificateEnds,
    /// A new policy was refused.
    PolicyRefused,
    /// Another configuration was refused.
    ConfigurationRefused,
    /// New certificates were refused.
    CertificatesRefused,
    /// Notices did not get to their target.
    Undelivered,
    /// More than can be told one by one.
    Others,
    /// Nothing: whether a target works.
    Test,
}

/// What a target is told of, by the word in the operator's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Grants asked for, decided and ended.
    Grants,
    /// Emergencies, and the look at them that is due.
    BreakGlass,
    /// Commands that wait for a second person.
    Requests,
    /// What detections found.
    Findings,
    /// What should not be: values in the wrong place, fields, tenants, copies of passkeys.
    Alerts,
    /// What the operator has to mend.
    Operation,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 6] = [
        Self::Grants,
        Self::BreakGlass,
        Self::Requests,
        Self::Findings,
        Self::Alerts,
        Self::Operation,
    ];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Grants => "grants",
            Self::BreakGlass => "break-glass",
            Self::Requests => "requests",
            Self::Findings => "findings",
            Self::Alerts => "alerts",
            Self::Operation => "operation",
        }
    }
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 24] = [
        Self::GrantAsked,
        Self::GrantDecided,
        Self::GrantEnded,
        Self::BreakGlass,
        Self::ReviewDue,
        Self::RequestWaits,
        Self::Finding,
        Self::ValueDetected,
        Self::NewField,
        Self::ForeignTenant,
        Self::ClonedPasskey,
        Self::ForgedNotice,
        Self::StoreLost,
        Self::ShippingBehind,
        Self::BackupOverdue,
        Self::WitnessSilent,
        Self::WitnessDisagrees,
        Self::CertificateEnds,
        Self::PolicyRefused,
        Self::ConfigurationRefused,
        Self::CertificatesRefused,
        Self::Undelivered,
        Self::Others,
        Self::Test,
    ];

    /// The word for it, by which programs tell kinds apart.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::GrantAsked => "grant_asked",
            Self::GrantDecided => "grant_decided",
            Self::GrantEnded => "grant_ended",
            Self::BreakGlass => "break_glass",
            Self::ReviewDue => "review_due",
            Self::RequestWaits => "request_waits",
            Self::Finding => "finding",
            Self::ValueDetected => "value_detected",
            Self::NewField => "new_field",
            Self::ForeignTenant => "foreign_tenant",
            Self::ClonedPasskey => "cloned_passkey",
            Self::ForgedNotice => "forged_notice",
            Self::StoreLost => "store_lost",
            Self::ShippingBehind => "shipping_behind",
            Self::BackupOverdue => "backup_overdue",
            Self::WitnessSilent => "witness_silent",
            Self::WitnessDisagrees => "witness_disagrees",
            Self::CertificateEnds => "certificate_ends",
            Self::PolicyRefused => "policy_refused",
            Self::ConfigurationRefused => "configuration_refused",
            Self::CertificatesRefused => "certificates_refused",
            Self::Undelivered => "undelivered",
            Self::Others => "others",
            Self::Test => "test",
        }
    }

    /// What it belongs to; nothing where every target is told.
    #[must_use]
    pub fn topic(self) -> Option<Topic> {
        match self {
            Self::GrantAsked | Self::GrantDecided | Self::GrantEnded => Some(Topic::Grants),
            Self::BreakGlass | Self::ReviewDue => Some(Topic::BreakGlass),
            Self::RequestWaits => Some(Topic::Requests),
            Self::Finding => Some(Topic::Findings),
            Self::ValueDetected
            | Self::NewField
            | Self::ForeignTenant
            | Self::ClonedPasskey
            | Self::ForgedNotice
            | Self::WitnessDisagrees => Some(Topic::Alerts),
            Self::StoreLost
            | Self::ShippingBehind
            | Self::BackupOverdue
            | Self::WitnessSilent
            | Self::CertificateEnds
            | Self::PolicyRefused
            | Self::ConfigurationRefused
            | Self::CertificatesRefused
            | Self::Undelivered => Some(Topic::Operation),
            Self::Others | Self::Test => None,
        }
    }

    /// Whether each is a thing of its own, that somebody must answer; the others add up while they wait.
    #[must_use]
    pub fn is_single(self) -> bool {
        match self {
            Self::GrantAsked
            | Self::GrantDecided
            | Self::GrantEnded
            | Self::BreakGlass
            | Self::ReviewDue
            | Self::RequestWaits => true,
            Self::Finding
            | Self::ValueDetected
            | Self::NewField
            | Self::ForeignTenant
            | Self::ClonedPasskey
            | Self::ForgedNotice
            | Self::StoreLost
            | Self::ShippingBehind
            | Self::BackupOverdue
            | Self::WitnessSilent
            | Self::WitnessDisagrees
            | Self::CertificateEnds
            | Self::PolicyRefused
            | Self::ConfigurationRefused
            | Self::CertificatesRefused
            | Self::Undelivered
            | Self::Others
            | Self::Test => false,
        }
    }
}
