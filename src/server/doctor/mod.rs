//! What is looked at before a gate is opened to the world, and when something is wrong at night: the machine, the files, the
//! ports, the backends.
//!
//! It changes nothing, and may run beside the gate. What the files say is checked by `check`, which comes first.

mod backends;
mod files;
mod machine;
mod ports;

use crate::config::Config;

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// As it should be.
    Good,
    /// It works, and somebody should look.
    Warning,
    /// The gate does not start, or does not do what it is there for.
    Bad,
}

/// What was looked at.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// How it stands.
    pub standing: Standing,
    /// What it is about.
    pub about: String,
    /// What was found, and what to do if it is not good.
    pub said: String,
}

impl Finding {
    fn new(standing: Standing, about: impl Into<String>, said: impl Into<String>) -> Self {
        Self { standing, about: about.into(), said: said.into() }
    }

    fn good(about: impl Into<String>, said: impl Into<String>) -> Self {
        Self::new(Standing::Good, about, said)
    }

    fn warning(about: impl Into<String>, said: impl Into<String>) -> Self {
        Self::new(Standing::Warning, about, said)
    }

    fn bad(about: impl Into<String>, said: impl Into<String>) -> Self {
        Self::new(Standing::Bad, about, said)
    }
}

/// Looks at everything that a gate with this configuration needs.
///
/// Backends are connected to, and asked with `OPTIONS *`; nothing else leaves the machine.
pub async fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = vec![configured(config)];
    findings.extend(machine::look(config));
    findings.extend(files::look(config));
    findings.extend(ports::look(config));
    findings.extend(backends::look(config).await);
    findings
}

fn configured(config: &Config) -> Finding {
    match super::check(config) {
        Ok(program) => {
            let version = program.version().get(..12).unwrap_or_default().to_owned();
            Finding::good("configuration", format!("good, with the policy {version}"))
        }
        Err(error) => {
            let first = error.to_string();
            let first = first.lines().next().unwrap_or_default();
            Finding::bad("configuration", format!("{first}; `menshen check` tells all"))
        }
    }
}
