//! Identity through its front door, with a clock moved by hand and a state folder of its own.

mod bearer;
mod jwt;
mod sign_in;
mod vectors;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use super::*;
use crate::secret::Secret;

const NOW_S: i64 = 1_800_000_000;
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const PASSWORD: &str = "a quiet lantern";

/// A folder and a clock from which an [`Identity`] is opened, again if need be.
struct House {
    dir: tempfile::TempDir,
    clock: Clock,
    settings: Settings,
}

impl House {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir, clock: Clock::fixed(NOW_S * 1000), settings: Settings::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn open(&self) -> Identity {
        let master = MasterKey::from_bytes([9; 32]);
        let store = Store::open(&self.path("state"), &master, self.clock.clone()).unwrap();
        Identity::new(self.settings.clone(), store, &master, self.clock.clone()).unwrap()
    }

    fn advance_s(&self, seconds: i64) {
        self.clock.advance_ms(seconds * 1000);
    }
}

fn here() -> Place {
    Place { host: "bank.example".into(), zone: "business".into(), certificate: None }
}

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

#[test]
fn issuers_with_the_same_name_or_a_wild_assurance_are_refused() {
    let issuer = |name: &str, iss: &str| IssuerSettings::new(name, iss, "menshen", "x".into());
    let check = |issuers: &[IssuerSettings]| check_issuers(issuers).map_err(|e| e.to_string());
    assert_eq!(check(&[issuer("a", "https://a"), issuer("b", "https://b")]), Ok(()));
    assert!(check(&[issuer("a", "https://a"), issuer("a", "https://b")]).is_err());
    assert!(check(&[issuer("a", "https://a"), issuer("b", "https://a")]).is_err());
    assert!(check(&[issuer("a:b", "https://a")]).is_err());
    let mut wild = issuer("a", "https://a");
    wild.assurance.insert("gold".into(), 4);
    assert!(check(&[wild]).unwrap_err().contains("`gold` must be 1, 2 or 3"));
}
