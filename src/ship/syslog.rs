//! Syslog over TLS: RFC 5424 messages, framed by counted octets as RFC 5425 has them.
//!
//! Syslog has no acknowledgement. A batch is a connection: its end is announced, and only a receiver that announces
//! its own end in turn, which it does after it has read everything, has the batch.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::ShipError;
use super::batch::{Batch, Shipped};
use super::connect::connect;
use super::settings::SyslogSettings;

const WARNING: u8 = 4;
const INFORMATIONAL: u8 = 6;
/// The number for examples (RFC 5612): we have none of our own.
const ENTERPRISE: &str = "32473";

pub(super) async fn deliver(settings: &SyslogSettings, batch: &Batch) -> Result<(), ShipError> {
    let peer = &settings.peer;
    let broken = |error| peer.broken(error);
    let mut stream = connect(peer).await?;
    for entry in &batch.entries {
        let message = message(settings.facility, &batch.node, entry);
        let length = message.len().to_string();
        stream.write_all(length.as_bytes()).await.map_err(broken)?;
        stream.write_all(b" ").await.map_err(broken)?;
        stream.write_all(&message).await.map_err(broken)?;
    }
    stream.flush().await.map_err(broken)?;
    stream.shutdown().await.map_err(broken)?;
    let mut rest = [0; 1024];
    // Ends with the receiver's own announcement; a connection that merely breaks is an error.
    while stream.read(&mut rest).await.map_err(unconfirmed).map_err(broken)? > 0 {}
    Ok(())
}

fn unconfirmed(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("the end of the connection was not confirmed: {error}"))
}

/// `<PRI>1 TIME HOST menshen - EVENT [menshen@N index="…" id="…"] ENTRY`
pub(super) fn message(facility: u8, node: &str, entry: &Shipped) -> Vec<u8> {
    let severity = if entry.event == "alert" { WARNING } else { INFORMATIONAL };
    let priority = facility.min(23) * 8 + severity;
    let time = if entry.time.is_empty() { "-" } else { &entry.time };
    let Shipped { index, id, .. } = entry;
    let (host, event) = (word(node, 255), word(&entry.event, 32));
    let mut message = format!(
        "<{priority}>1 {time} {host} menshen - {event} [menshen@{ENTERPRISE} index=\"{index}\" id=\"{id}\"] "
    )
    .into_bytes();
    message.extend_from_slice(&entry.text);
    message
}

/// A name as the head of a message may have it.
fn word(text: &str, most: usize) -> String {
    let word: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
    if word.is_empty() { "-".to_owned() } else { word }
}
