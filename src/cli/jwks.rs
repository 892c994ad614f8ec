//! `menshen jwks`: what the gate would take of a JWK Set, and whether a key of it signed a token.

use std::io::{Read as _, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Failure, Outcome};
use crate::identity::{Fetch as _, FetchAsk, JwksOrigin, check_jwks, verify_token};
use crate::server::HttpsFetch;

/// The most bytes read of a file or of standard input.
const LIMIT: u64 = 256 * 1024;

/// Arguments of `menshen jwks`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say which keys of a JWK Set the gate would use, or why it would refuse the set.
    ///
    /// Example: menshen jwks check login.json, or an https address and `--ca login-ca.pem`
    Check(Source),
    /// Check the signature of a token from standard input; its claims are printed, not judged.
    ///
    /// Example: menshen jwks verify jwks.json < token
    Verify(Source),
}

/// Where the keys are.
#[derive(Debug, Args)]
struct Source {
    /// A file, or an address that begins with `https://`.
    #[arg(value_name = "FILE|URL")]
    keys: String,
    /// The certificates that vouch for the server of an address.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl Source {
    fn read(&self) -> Result<(Vec<u8>, JwksOrigin), Failure> {
        if !self.keys.contains("://") {
            let file = std::fs::File::open(&self.keys);
            let file = file.map_err(|error| Failure::Fault(format!("`{}`: {error}", self.keys)))?;
            let mut text = Vec::new();
            file.take(LIMIT + 1).read_to_end(&mut text).map_err(Failure::internal)?;
            return Ok((text, JwksOrigin::File));
        }
        let ca = self.ca.clone().ok_or_else(|| {
            Failure::Fault("an address needs `--ca`: the certificates that vouch for it".into())
        })?;
        let runtime = super::runtime()?;
        let fetched = runtime.block_on(HttpsFetch.fetch(FetchAsk::document(&self.keys, ca)));
        Ok((fetched.map_err(Failure::fault)?, JwksOrigin::Published))
    }
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    match &arguments.action {
        Action::Check(source) => check(source, out),
        Action::Verify(source) => verify(source, out),
    }
}

fn check(source: &Source, out: &mut dyn Write) -> Outcome {
    let (text, origin) = source.read()?;
    let keys = check_jwks(&text, origin)
        .map_err(|fault| Failure::Fault(format!("`{}` {fault}", source.keys)))?;
    for key in keys {
        let said = match &key.algorithm {
            Ok(algorithm) => (*algorithm).to_owned(),
            Err(reason) => format!("not used: {reason}"),
        };
        writeln!(out, "{:<40} {said}", key.shown).map_err(Failure::internal)?;
    }
    Ok(())
}

fn verify(source: &Source, out: &mut dyn Write) -> Outcome {
    let (text, origin) = source.read()?;
    let mut token = String::new();
    let read = std::io::stdin().lock().take(LIMIT).read_to_string(&mut token);
    read.map_err(|error| Failure::Fault(format!("the token: {error}")))?;
    match verify_token(&text, origin, token.trim()) {
        Ok(verified) => {
            let key = verified.key.as_deref().unwrap_or("without a `kid`");
            let said = writeln!(
                out,
                "the signature is good: key {key}, {}\n{}",
                verified.algorithm, verified.claims
            );
            said.map_err(Failure::internal)
        }
        Err(error) => {
            writeln!(out, "{error}").map_err(Failure::internal)?;
            Err(Failure::Finding)
        }
    }
}
