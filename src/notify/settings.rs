//! Whom to tell, as the operator's file says.

use std::path::PathBuf;
use std::time::Duration;

use super::{Kind, Language, Topic};
use crate::ship::{Endpoint, Peer};

/// One target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its name.
    pub name: String,
    /// The language of what is told.
    pub language: Language,
    /// Of what it is told.
    pub about: Vec<Topic>,
    /// How long a notice is tried before it is given up.
    pub give_up_after: Duration,
    /// Where.
    pub to: To,
}

impl Settings {
    /// Whether it is told of this.
    #[must_use]
    pub fn wants(&self, kind: Kind) -> bool {
        kind.topic().is_none_or(|topic| self.about.contains(&topic))
    }
}

/// The kinds of targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// A server that takes signed JSON by POST.
    Webhook(HookSettings),
    /// A mail server.
    Mail(MailSettings),
    /// A room of an app.
    Chat(ChatSettings),
}

/// A server that takes JSON by POST, signed as the Standard Webhooks say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookSettings {
    /// Where to.
    pub endpoint: Endpoint,
    /// The file with the secret that signs: `whsec_` and base64.
    pub secret: PathBuf,
}

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the connection, as on port 465.
    Tls,
    /// By STARTTLS before anything is told, as on port 587.
    StartTls,
}

/// A mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailSettings {
    /// The server.
    pub peer: Peer,
    /// When TLS begins.
    pub start: Start,
    /// The name to sign in with, and the file with its password.
    pub login: Option<(String, PathBuf)>,
    /// The address that it comes from.
    pub from: String,
    /// The addresses that it goes to.
    pub recipients: Vec<String>,
}

/// The apps with rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum App {
    /// DingTalk, by a robot of a group.
    DingTalk,
    /// WeCom, by a robot of a group.
    WeCom,
    /// Feishu or Lark, by a robot of a group.
    Feishu,
    /// Slack, by an incoming webhook.
    Slack,
}

/// A room of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatSettings {
    /// The app.
    pub app: App,
    /// The file with the robot's URL: whoever has that may write into the room.
    pub url: PathBuf,
    /// The file with the secret that signs, where the robot wants that.
    pub secret: Option<PathBuf>,
    /// The file of authorities; none for a relay on this machine, without TLS.
    pub ca: Option<PathBuf>,
}
