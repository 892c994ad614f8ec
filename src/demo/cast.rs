//! Who plays in the demo: local accounts with published passwords, and a partner's program.
//!
//! The passwords are no secret: the demo listens on loopback, its customers are invented.

/// The host that the bank is published under.
pub const HOST: &str = "bank.example";
/// How many customers the bank has.
pub const CUSTOMERS: usize = 2_000;

/// A local account of the demo.
#[derive(Clone, Copy, Debug)]
pub struct Person {
    /// The name that signs in.
    pub name: &'static str,
    /// The password.
    pub password: &'static str,
    /// The one role.
    pub role: &'static str,
    /// The branch that the person works for.
    pub branch: &'static str,
    /// What this person is here to show.
    pub about: &'static str,
}

/// Everybody who can sign in.
pub const CAST: [Person; 6] = [
    Person {
        name: "li.na",
        password: "lanterns-at-dusk",
        role: "teller",
        branch: "sh01",
        about: "teller in Shanghai: sees her branch's customers, masked, 40 people an hour",
    },
    Person {
        name: "somchai",
        password: "river-of-kings",
        role: "teller",
        branch: "bkk02",
        about: "teller in Bangkok: the same, for other customers",
    },
    Person {
        name: "zhao.lei",
        password: "plum-rain-in-june",
        role: "supervisor",
        branch: "sh01",
        about: "supervisor in Shanghai: with a code, sees what a complaint needs in clear",
    },
    Person {
        name: "dewi",
        password: "gamelan-at-noon",
        role: "supervisor",
        branch: "head-office",
        about: "supervisor at head office: exports all customers, masked, with a fresh code",
    },
    Person {
        name: "min.ji",
        password: "first-snow-seoul",
        role: "analyst",
        branch: "head-office",
        about: "analyst: counts pseudonyms, never names",
    },
    Person {
        name: "alice",
        password: "ledger-and-lens",
        role: "auditor",
        branch: "head-office",
        about: "auditor: reads the log, no customer",
    },
];

/// The program that calls with a bearer token.
pub(super) const PARTNER: &str = "parcels-01";
