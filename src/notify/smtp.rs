//! A client of SMTP (RFC 5321) for one mail at a time, over TLS with a pinned authority.

use std::io;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use super::settings::{MailSettings, Start};
use super::{Delivered, NotifyError};
use crate::ship::{Peer, Security, Stream, dial, read_secret, secure};

/// The longest line of a reply, and the most lines: RFC 5321 has 512 bytes.
const LINE_LIMIT: u64 = 2048;
const LINES: usize = 64;

/// A code and the lines that came with it.
struct Reply {
    code: u16,
    lines: Vec<String>,
}

impl Reply {
    fn said(&self) -> String {
        super::notice::name(&format!("{} {}", self.code, self.lines.join(" ")))
    }

    /// What is offered under this word, such as the ways to sign in under `AUTH`.
    fn offers(&self, word: &str) -> Option<String> {
        let of = |line: &String| {
            let line = line.to_ascii_uppercase();
            let rest = line.strip_prefix(word)?;
            (rest.is_empty() || rest.starts_with([' ', '='])).then(|| rest.to_owned())
        };
        self.lines.iter().find_map(of)
    }
}

/// A conversation.
struct Talk<'p> {
    peer: &'p Peer,
    stream: BufReader<Stream>,
}

/// Sends a mail; says which of its recipients the server did not take.
pub(super) async fn deliver(
    settings: &MailSettings,
    mail: String,
) -> Result<Delivered, NotifyError> {
    let peer = &settings.peer;
    let socket = dial(peer).await?;
    let is_plain = peer.security == Security::PlainOnLoopback;
    let hello = if settings.start == Start::StartTls && !is_plain {
        let mut talk = Talk { peer, stream: BufReader::new(Box::new(socket)) };
        talk.greeted().await?;
        let offered = talk.hello().await?;
        if offered.offers("STARTTLS").is_none() {
            return Err(talk.lacks("STARTTLS"));
        }
        talk.ask("STARTTLS", "STARTTLS", 220).await?;
        // What came before the encryption was not said by whom the certificate is of.
        if !talk.stream.buffer().is_empty() {
            return Err(talk.lacks("a clean beginning of TLS"));
        }
        let mut talk =
            Talk { peer, stream: BufReader::new(secure(peer, talk.stream.into_inner()).await?) };
        let offered = talk.hello().await?;
        (talk, offered)
    } else {
        let mut talk = Talk { peer, stream: BufReader::new(secure(peer, socket).await?) };
        talk.greeted().await?;
        let offered = talk.hello().await?;
        (talk, offered)
    };
    let (mut talk, offered) = hello;
    talk.sign_in(settings, &offered).await?;
    let delivered = talk.mail(settings, mail).await?;
    // It has the mail; whether it hears the farewell makes no difference.
    talk.say("QUIT\r\n").await.unwrap_or_default();
    Ok(delivered)
}

impl Talk<'_> {
    async fn greeted(&mut self) -> Result<(), NotifyError> {
        let reply = self.reply().await?;
        self.must_be(&reply, "connection", 220)
    }

    async fn hello(&mut self) -> Result<Reply, NotifyError> {
        // Only a name is wanted; which machine it is is nobody's business.
        self.ask("EHLO", "EHLO menshen", 250).await
    }

    async fn sign_in(
        &mut self,
        settings: &MailSettings,
        offered: &Reply,
    ) -> Result<(), NotifyError> {
        let Some((user, file)) = &settings.login else { return Ok(()) };
        let ways = offered.offers("AUTH").unwrap_or_default();
        let has = |way: &str| ways.split([' ', '=']).any(|offered| offered == way);
        let password = read_secret(file)?;
        if has("PLAIN") {
            let both = BASE64_STANDARD.encode(format!("\0{user}\0{}", password.expose()));
            self.ask("AUTH PLAIN", &format!("AUTH PLAIN {both}"), 235).await?;
        } else if has("LOGIN") {
            self.ask("AUTH LOGIN", "AUTH LOGIN", 334).await?;
            self.ask("the name", &BASE64_STANDARD.encode(user), 334).await?;
            self.ask("the password", &BASE64_STANDARD.encode(password.expose()), 235).await?;
        } else {
            return Err(self.lacks("to sign in with a password (PLAIN or LOGIN)"));
        }
        Ok(())
    }

    async fn mail(
        &mut self,
        settings: &MailSettings,
        mail: String,
    ) -> Result<Delivered, NotifyError> {
        self.ask("MAIL FROM", &format!("MAIL FROM:<{}>", settings.from), 250).await?;
        let mut delivered = Delivered::default();
        for recipient in &settings.recipients {
            self.say(&format!("RCPT TO:<{recipient}>\r\n")).await?;
            let reply = self.reply().await?;
            if !matches!(reply.code, 250 | 251) {
                delivered.refused.push(format!("`{recipient}`: {}", reply.said()));
            }
        }
        if delivered.refused.len() == settings.recipients.len() {
            let said = delivered.refused.join("; ");
            return Err(NotifyError::Mail { peer: self.peer.shown(), asked: "RCPT TO", said });
        }
        self.ask("DATA", "DATA", 354).await?;
        self.say(&mail).await?;
        self.ask("the mail", ".", 250).await?;
        Ok(delivered)
    }

    /// Says a line, and gives the reply if it has this code; `asked` is what may be told of the line.
    async fn ask(
        &mut self,
        asked: &'static str,
        line: &str,
        code: u16,
    ) -> Result<Reply, NotifyError> {
        self.say(&format!("{line}\r\n")).await?;
        let reply = self.reply().await?;
        self.must_be(&reply, asked, code)?;
        Ok(reply)
    }

    async fn say(&mut self, lines: &str) -> Result<(), NotifyError> {
        let broken = |error| NotifyError::Way(self.peer.broken(error));
        self.stream.get_mut().write_all(lines.as_bytes()).await.map_err(broken)?;
        self.stream.get_mut().flush().await.map_err(broken)
    }

    async fn reply(&mut self) -> Result<Reply, NotifyError> {
        let mut lines = Vec::new();
        while lines.len() < LINES {
            let mut line = String::new();
            let read = (&mut self.stream).take(LINE_LIMIT).read_line(&mut line).await;
            let read = read.map_err(|error| self.peer.broken(error))?;
            if read == 0 || !line.ends_with('\n') {
                let ended = io::Error::from(io::ErrorKind::UnexpectedEof);
                return Err(NotifyError::Way(self.peer.broken(ended)));
            }
            let line = line.trim_end();
            let code = line.get(..3).and_then(|code| code.parse().ok());
            let (Some(code), between) = (code, line.as_bytes().get(3)) else {
                return Err(self.lacks("replies as SMTP has them"));
            };
            lines.push(line.get(4..).unwrap_or_default().to_owned());
            if between != Some(&b'-') {
                return Ok(Reply { code, lines });
            }
        }
        Err(self.lacks("a reply of fewer lines"))
    }

    fn must_be(&self, reply: &Reply, asked: &'static str, code: u16) -> Result<(), NotifyError> {
        if reply.code == code {
            return Ok(());
        }
        Err(NotifyError::Mail { peer: self.peer.shown(), asked, said: reply.said() })
    }

    fn lacks(&self, lacking: &'static str) -> NotifyError {
        NotifyError::Lacking { peer: self.peer.shown(), lacking }
    }
}
