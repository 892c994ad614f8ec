//! What can be checked without opening anything.

use tokio_util::task::TaskTracker;

use super::bound::all_listeners;
use super::log::at_rest;
use super::policies::{Backends, admit};
use super::{StartError, fetch, read_policies, traces};
use crate::config::Config;
use crate::identity::{CaseTickets, FetchError, KeySource};
use crate::policy::Program;
use crate::secret::MasterKey;
use crate::upstream::Upstreams;
use crate::{acme, notify, ship, tls};

/// Checks all that can be checked without opening anything: the policy, where its routes go, the
/// certificates and keys. Gives the compiled policy.
///
/// # Errors
/// [`StartError`], as a start would give it.
pub fn check(config: &Config) -> Result<Program, StartError> {
    let program = admit(&read_policies(&config.policies)?, &Backends::of(config))?;
    check_files(config)?;
    Ok(program)
}

/// Checks all but the policy.
pub(super) fn check_files(config: &Config) -> Result<(), StartError> {
    Upstreams::open(&config.upstreams, &TaskTracker::new())?;
    for listener in all_listeners(config) {
        tls::present(&listener.tls, None)?;
    }
    check_others(config)?;
    if let Some(shared) = &config.shared {
        shared.redis.check()?;
    }
    MasterKey::read(&config.key)?;
    at_rest(config)?;
    Ok(())
}

/// Reads what vouches for issuers, for the places that the log is carried to, for its witnesses, for the targets of notices and
/// for the directory of certificates.
pub(super) fn check_others(config: &Config) -> Result<(), StartError> {
    check_issuers(config)?;
    CaseTickets::load(&config.case_issuers)?;
    config.ship.iter().try_for_each(ship::check)?;
    config.witnesses.iter().try_for_each(ship::check_witness)?;
    config.notify.iter().try_for_each(notify::check)?;
    traces::check(config)?;
    config.acme.iter().try_for_each(acme::check)?;
    Ok(())
}

/// Reads the certificates that vouch for issuers.
fn check_issuers(config: &Config) -> Result<(), FetchError> {
    for issuer in &config.identity.issuers {
        if let KeySource::Url { ca, .. } = &issuer.keys {
            fetch::check_ca(ca)?;
        }
        if let Some(client) = &issuer.sign_in {
            fetch::check_ca(&client.ca)?;
        }
    }
    Ok(())
}
