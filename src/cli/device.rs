//! `menshen device`: keys of client certificates, and passkeys, enrolled for accounts.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::json;

use super::account::{Place, open_existing};
use super::output::Format;
use super::{Failure, Outcome};
use crate::identity::{DeviceInfo, Identity};

/// Arguments of `menshen device`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: menshen device add wang-laptop --account wang --certificate wang.pem \\\n           --state /var/lib/menshen/state --key /etc/menshen/master.key"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Enrol the key of a client certificate, or a passkey that the account has, as a device of it.
    Add {
        /// What to call it; policies know it as `caller.device`.
        name: String,
        /// Whose it is: a local account, or `issuer:subject`.
        #[arg(long)]
        account: String,
        /// The certificate in PEM. One that is renewed for its key stays the same device.
        #[arg(long, value_name = "FILE", required_unless_present = "passkey")]
        certificate: Option<PathBuf>,
        /// The id of a passkey of a local account, as `menshen account passkeys` shows it; one that is not synced.
        #[arg(long, value_name = "ID", conflicts_with = "certificate", allow_hyphen_values = true)]
        passkey: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// List the devices, revoked ones among them.
    List {
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
        #[command(flatten)]
        place: Place,
    },
    /// Revoke a device for ever; its account's sessions end at once.
    Revoke {
        /// The device.
        name: String,
        #[command(flatten)]
        place: Place,
    },
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    super::runtime()?.block_on(act(&arguments.action, out))
}

async fn act(action: &Action, out: &mut dyn Write) -> Outcome {
    let said = match action {
        Action::Add { name, account, certificate, passkey, place } => {
            let identity = open(place)?;
            let added = match (certificate, passkey) {
                (Some(file), _) => {
                    let der = CertificateDer::from_pem_file(file).map_err(|error| {
                        let file = file.display();
                        Failure::fault(format!("`{file}`: no certificate in PEM ({error})"))
                    })?;
                    identity.add_device(name, account, &der).await
                }
                (None, passkey) => {
                    let id = passkey.as_deref().unwrap_or_default();
                    identity.add_passkey_device(name, account, id).await
                }
            };
            let device = added.map_err(Failure::fault)?;
            let (name, account, key) = (device.name, device.account, hex(&device.key));
            format!("device `{name}` of `{account}` was added; its key is {key}\n")
        }
        Action::List { format, place } => {
            let devices = open(place)?.devices().await.map_err(Failure::internal)?;
            match format {
                Format::Human => table(&devices),
                Format::Json => {
                    devices.iter().map(|device| format!("{}\n", line(device))).collect()
                }
            }
        }
        Action::Revoke { name, place } => {
            let account = open(place)?.revoke_device(name).await.map_err(Failure::fault)?;
            format!(
                "device `{name}` of `{account}` is revoked; the account's sessions have ended\n"
            )
        }
    };
    out.write_all(said.as_bytes()).map_err(Failure::internal)
}

fn open(place: &Place) -> Result<Identity, Failure> {
    open_existing(place).map_err(Failure::fault)
}

fn table(devices: &[DeviceInfo]) -> String {
    let mut table = format!(
        "{:<24} {:<24} {:<11} {:<20} {:<20} STATE\n",
        "NAME", "ACCOUNT", "KIND", "MADE", "USED"
    );
    for device in devices {
        let used = device.used_s.map_or_else(|| "never".to_owned(), time);
        let state = match device.revoked_s {
            Some(at) => format!("revoked {}", time(at)),
            None => "good".to_owned(),
        };
        let (name, account, made) = (&device.name, &device.account, time(device.created_s));
        let kind = kind(device);
        table.push_str(&format!(
            "{name:<24} {account:<24} {kind:<11} {made:<20} {used:<20} {state}\n"
        ));
    }
    table
}

fn line(device: &DeviceInfo) -> serde_json::Value {
    json!({
        "name": device.name,
        "account": device.account,
        "kind": kind(device),
        "key": hex(&device.key),
        "created": time(device.created_s),
        "used": device.used_s.map(time),
        "revoked": device.revoked_s.map(time),
    })
}

fn kind(device: &DeviceInfo) -> &'static str {
    if device.is_passkey { "passkey" } else { "certificate" }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn time(unix_s: i64) -> String {
    jiff::Timestamp::from_second(unix_s).map_or_else(|_far| unix_s.to_string(), |at| at.to_string())
}
