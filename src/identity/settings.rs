//! What the operator can set about identity; every default is the safe one.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::PathBuf;

use super::caller::{Attribute, CallerKind, FactorMethod};
use super::client_cert::SubjectName;

/// All settings of identity.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whose bearer tokens are accepted; none by default.
    pub issuers: Vec<IssuerSettings>,
    /// Programs that are known by their client certificates; none by default.
    pub machines: Vec<MachineSettings>,
    /// The highest assurance of whoever has devices and comes without one of them; 1 by default.
    pub unknown_device_assurance: u8,
    /// Whether proofs of possession (DPoP) must have a nonce of the gate's; `false` by default.
    pub asks_for_nonces: bool,
    /// How long sessions live.
    pub session: SessionSettings,
    /// When failed sign-ins lead to a wait.
    pub lockout: LockoutSettings,
    /// How many passwords are hashed at once, behind all other work; each takes 19 MiB and some 20 ms of a core. As
    /// many as there are cores by default.
    pub hashes_at_once: usize,
    /// How many sign-ins may wait for that; more are told to come back. 32 by default.
    pub hashes_waiting: usize,
    /// How long one waits at most, in seconds; then it is told to come back. 2 by default.
    pub hash_patience_s: u32,
    /// How many verified tokens are remembered until they expire. 4096 by default.
    pub token_cache: usize,
    /// What an authenticator app shows as the issuer of a one-time code. `menshen` by default.
    pub totp_issuer: String,
    /// When people are reminded that their password is old.
    pub password: PasswordSettings,
    /// Words of the house that make no new password better, such as its name and its products.
    pub house_words: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            issuers: Vec::new(),
            machines: Vec::new(),
            unknown_device_assurance: 1,
            asks_for_nonces: false,
            session: SessionSettings::default(),
            lockout: LockoutSettings::default(),
            hashes_at_once: std::thread::available_parallelism().map_or(2, NonZero::get),
            hashes_waiting: 32,
            hash_patience_s: 2,
            token_cache: 4096,
            totp_issuer: "menshen".into(),
            house_words: Vec::new(),
            password: PasswordSettings::default(),
        }
    }
}

/// What follows from the age of a password. By default only a reminder: people who must change it choose worse ones.
#[derive(Clone, Copy, Debug)]
pub struct PasswordSettings {
    /// Seconds after which people are reminded; 90 days by default, and never with 0.
    pub old_after_s: u32,
    /// Whether a session by such a password is good for nothing but changing it; `false` by default.
    pub must_change: bool,
}

impl Default for PasswordSettings {
    fn default() -> Self {
        Self { old_after_s: 90 * 24 * 3600, must_change: false }
    }
}

/// How long sessions live and how many an account may have.
#[derive(Clone, Copy, Debug)]
pub struct SessionSettings {
    /// Seconds without a request after which a session ends; 30 minutes by default.
    pub idle_s: u32,
    /// Seconds after sign-in when a session ends whatever happens; 12 hours by default.
    pub absolute_s: u32,
    /// Sessions an account may have at once, the oldest ends; 3 by default.
    pub per_account: u32,
    /// The largest request, in bytes, that is kept while a browser's user shows a factor; 256 KiB by
    /// default. With 0 none is kept.
    pub parked_bytes: usize,
    /// For how many seconds it is kept; 10 minutes by default.
    pub parked_s: u32,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            idle_s: 30 * 60,
            absolute_s: 12 * 3600,
            per_account: 3,
            parked_bytes: 256 * 1024,
            parked_s: 600,
        }
    }
}

/// When failed sign-ins lead to a wait. Wrong passwords and wrong codes count together.
#[derive(Clone, Copy, Debug)]
pub struct LockoutSettings {
    /// Failures of one name within the window that lock it; 10 by default.
    pub per_name: u32,
    /// Failures from one address (IPv6: one /64) within the window; 50 by default.
    pub per_address: u32,
    /// The window in seconds; 15 minutes by default.
    pub window_s: u32,
    /// How long a name stays locked the first time, in seconds; 30 minutes by default. Twice as long each further
    /// time in a row.
    pub lock_s: u32,
    /// The longest lock in seconds; a day by default.
    pub longest_lock_s: u32,
    /// How long a network stays known after somebody signed in from it, in seconds; 30 days by default.
    pub known_network_s: u32,
}

impl Default for LockoutSettings {
    fn default() -> Self {
        Self {
            per_name: 10,
            per_address: 50,
            window_s: 15 * 60,
            lock_s: 30 * 60,
            longest_lock_s: 24 * 3600,
            known_network_s: 30 * 24 * 3600,
        }
    }
}

/// Where the public keys of an issuer are (RFC 7517 JWK Set).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// In a file, read again when it changes.
    File(PathBuf),
    /// At an address, fetched again from time to time and when a token names a key that is not known.
    Url {
        /// The address, https only.
        url: String,
        /// The certificates that vouch for its server.
        ca: PathBuf,
        /// Seconds after which they are fetched again; 5 minutes by default.
        refresh_s: u32,
        /// Seconds for which they are good while nothing better can be fetched; a day by default.
        keep_s: u32,
    },
}

/// How people sign in at an issuer (OpenID Connect).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInSettings {
    /// What the issuer calls us.
    pub client_id: String,
    /// The file with the secret that shows that we are it; a public client has none.
    pub client_secret: Option<PathBuf>,
    /// The certificates that vouch for the issuer's server.
    pub ca: PathBuf,
    /// What is asked for; `openid` by default.
    pub scopes: Vec<String>,
}

/// One pinned issuer of bearer tokens and how its claims read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerSettings {
    /// A short word for the issuer. Its callers are accounts `name:sub`, so that no subject of one
    /// issuer is taken for that of another or for a local account, whose names hold no colon.
    pub name: String,
    /// The exact `iss` of its tokens.
    pub issuer: String,
    /// What must stand in `aud`.
    pub audience: String,
    /// Where its public keys are.
    pub keys: KeySource,
    /// Seconds by which the issuer's clock may differ; 30 by default.
    pub leeway_s: u32,
    /// What its callers are; staff by default.
    pub kind: CallerKind,
    /// Where the roles stand: names from the outermost object in, such as `realm_access`, `roles`.
    pub roles_claim: Vec<String>,
    /// Which claims become which attributes: claim to attribute.
    pub attributes: BTreeMap<String, String>,
    /// What its tokens say of the caller's device: attribute to claim.
    pub posture: BTreeMap<String, PostureClaim>,
    /// Which `acr` means which assurance (1 to 3); any other value, or none, means 1.
    pub assurance: BTreeMap<String, u8>,
    /// Which value of `amr` means which assurance (1 to 3); none by default. The highest counts, that of
    /// `acr` among them.
    pub methods_assurance: BTreeMap<String, u8>,
    /// Which values of `amr` and `acr` mean which method in the log, besides those of RFC 8176.
    pub methods: BTreeMap<String, FactorMethod>,
    /// How people sign in at it in a browser; not at all by default.
    pub sign_in: Option<SignInSettings>,
    /// The claim with the time of authentication, for the age of the factor. A token without it has
    /// a factor of unknown age, which meets no freshness requirement.
    pub auth_time_claim: String,
    /// Whether its tokens must be bound to a key (`cnf`); `false` by default, and bound ones are held to
    /// their key either way.
    pub is_bound: bool,
}

impl IssuerSettings {
    /// An issuer with the usual claim names: `roles`, `acr`, `auth_time`.
    #[must_use]
    pub fn new(name: &str, issuer: &str, audience: &str, jwks_file: PathBuf) -> Self {
        Self {
            name: name.into(),
            issuer: issuer.into(),
            audience: audience.into(),
            keys: KeySource::File(jwks_file),
            leeway_s: 30,
            kind: CallerKind::Staff,
            roles_claim: vec!["roles".into()],
            attributes: BTreeMap::new(),
            posture: BTreeMap::new(),
            assurance: BTreeMap::new(),
            methods_assurance: BTreeMap::new(),
            methods: BTreeMap::new(),
            sign_in: None,
            auth_time_claim: "auth_time".into(),
            is_bound: false,
        }
    }
}

/// What a token says of the caller's device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostureClaim {
    /// The claim with the value.
    pub claim: String,
    /// The claim with the time, in Unix seconds, at which somebody looked; `iat` if none is named.
    pub at: Option<String>,
    /// Seconds from then on after which the attribute is absent.
    pub age_s: u32,
}

/// A program that is known by a name in its client certificate. Its account is `machine:NAME`.
#[derive(Clone, Debug)]
pub struct MachineSettings {
    /// A short word for it.
    pub name: String,
    /// The name that its certificate must have.
    pub name_in_certificate: SubjectName,
    /// The zones in which it is known: whoever signs for another zone cannot make it there.
    pub zones: Vec<String>,
    /// What it is; machine by default.
    pub kind: CallerKind,
    /// Role names.
    pub roles: Vec<String>,
    /// What conditions may ask.
    pub attributes: BTreeMap<String, Attribute>,
}
