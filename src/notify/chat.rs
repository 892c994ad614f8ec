//! What the apps with rooms are sent, and how they say that they took it.

use serde::Deserialize;
use serde_json::json;

use super::settings::App;
use super::{NotifyError, sign};

/// The longest text, in bytes: WeCom takes 2048, the others more.
const TEXT_LIMIT: usize = 1900;

/// A request to a room: what is added to the URL's query, and the body.
pub(super) struct Post {
    pub(super) query: String,
    pub(super) body: String,
}

impl App {
    /// A text for the room, signed where there is a secret.
    pub(super) fn post(self, text: &str, secret: Option<&str>, at_ms: i64) -> Post {
        let text = cut(&self.plain(text));
        let at_s = at_ms.div_euclid(1000);
        let mut query = String::new();
        let body = match self {
            Self::DingTalk => {
                if let Some(secret) = secret {
                    let sign = for_url(&sign::ding_talk(secret, at_ms));
                    query = format!("timestamp={at_ms}&sign={sign}");
                }
                json!({ "msgtype": "text", "text": { "content": text } })
            }
            Self::WeCom => json!({ "msgtype": "text", "text": { "content": text } }),
            Self::Feishu => {
                let mut body = json!({ "msg_type": "text", "content": { "text": text } });
                if let (Some(secret), Some(members)) = (secret, body.as_object_mut()) {
                    members.insert("timestamp".to_owned(), json!(at_s.to_string()));
                    members.insert("sign".to_owned(), json!(sign::feishu(secret, at_s)));
                }
                body
            }
            Self::Slack => json!({ "text": text, "link_names": false }),
        };
        Post { query, body: body.to_string() }
    }

    /// The text without what the app would take for a mention or a link: names are not ours alone.
    fn plain(self, text: &str) -> String {
        match self {
            Self::Slack => text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
            Self::DingTalk | Self::WeCom | Self::Feishu => {
                text.replace('<', "＜").replace('>', "＞").replace('@', "＠")
            }
        }
    }

    /// Whether an answer of success says that the room has it.
    pub(super) fn took(self, peer: &str, answer: &[u8]) -> Result<(), NotifyError> {
        #[derive(Deserialize)]
        struct Said {
            #[serde(alias = "errcode", alias = "StatusCode")]
            code: i64,
            #[serde(default, alias = "errmsg", alias = "StatusMessage")]
            msg: String,
        }
        if self == Self::Slack {
            return match answer.trim_ascii() {
                b"ok" => Ok(()),
                _other => Err(NotifyError::Answer(peer.to_owned())),
            };
        }
        // Feishu says it twice, once in each of its words; either will do.
        let said: serde_json::Value = serde_json::from_slice(answer).unwrap_or_default();
        let said = match said {
            serde_json::Value::Object(mut members) => {
                if members.contains_key("code") {
                    members.remove("StatusCode");
                    members.remove("StatusMessage");
                }
                serde_json::from_value::<Said>(serde_json::Value::Object(members))
            }
            other @ (serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Number(_)
            | serde_json::Value::String(_)
            | serde_json::Value::Array(_)) => serde_json::from_value::<Said>(other),
        };
        match said {
            Ok(said) if said.code == 0 => Ok(()),
            Ok(said) => Err(NotifyError::Refused {
                peer: peer.to_owned(),
                code: said.code,
                said: super::notice::name(&said.msg),
            }),
            Err(_other_form) => Err(NotifyError::Answer(peer.to_owned())),
        }
    }
}

/// At most as much as every app takes, on a character's border.
fn cut(text: &str) -> String {
    let mut cut = String::new();
    for c in text.chars() {
        if cut.len() + c.len_utf8() > TEXT_LIMIT {
            return cut + "…";
        }
        cut.push(c);
    }
    cut
}

/// Base64 as it stands in a query.
fn for_url(base64: &str) -> String {
    base64.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}
