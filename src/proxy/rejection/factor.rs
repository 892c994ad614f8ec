//! A factor that would lead through, and how this caller shows it.

use http::StatusCode;
use http::header::WWW_AUTHENTICATE;

use super::{STEP_UP, STRONGER, Told};
use crate::identity::{Ways, step_up as challenge};
use crate::policy::StepUp;

/// A factor that would lead through, and how this caller shows it.
#[derive(Debug)]
pub(in crate::proxy) struct FactorAsked {
    pub(in crate::proxy) step_up: StepUp,
    pub(in crate::proxy) way: Way,
}

/// How a caller shows a factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Way {
    /// In another token.
    Token,
    /// For its session, in these ways.
    Session(Ways),
    /// Not at all: nothing that would do is enrolled for its account.
    Enrol,
}

impl FactorAsked {
    /// Asks for it in a token, as long as nobody knows better.
    pub(in crate::proxy) fn of(step_up: StepUp) -> Box<Self> {
        Box::new(Self { step_up, way: Way::Token })
    }

    /// What a program does about it.
    fn steps(&self) -> serde_json::Value {
        let mut steps = serde_json::Map::new();
        let mut say = |name: &str, value: serde_json::Value| steps.insert(name.to_owned(), value);
        say("acr_values", self.step_up.assurance.to_string().into());
        if let Some(age) = self.step_up.max_age_s {
            say("max_age", age.into());
        }
        let then = match self.way {
            Way::Token => "repeat this request with a token that has it",
            Way::Session(ways) => {
                if ways.code {
                    say("post", "/.menshen/code".into());
                    say("content_type", "application/json".into());
                    say("fields", vec!["code"].into());
                }
                if ways.passkey {
                    say("passkey", self.passkey());
                }
                "repeat this request with the session cookie that the answer to the factor sets"
            }
            Way::Enrol => "have such a factor enrolled for the account, then sign in again",
        };
        say("then", then.into());
        serde_json::Value::Object(steps)
    }
}

/// How a page shows a passkey: what to post for the options of `navigator.credentials.get`, and where to
/// post what it gives.
impl FactorAsked {
    fn passkey(&self) -> serde_json::Value {
        let mut options = serde_json::json!({ "for": "raise" });
        if let (true, Some(options)) = (self.step_up.assurance > 2, options.as_object_mut()) {
            options.insert("verify".to_owned(), true.into());
        }
        serde_json::json!({
            "options": { "post": "/.menshen/passkey/options", "body": options },
            "post": "/.menshen/passkey/raise",
            "content_type": "application/json",
            "fields": ["credential"],
        })
    }
}

/// What to prove, in words.
impl std::fmt::Display for FactorAsked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&asked(&self.step_up))
    }
}

pub(super) fn stronger(asked: &FactorAsked) -> Told {
    let step_up = &asked.step_up;
    let level = step_up.assurance.to_string();
    let max_age = step_up.max_age_s.map(u64::from);
    let value = challenge::insufficient(&[&level], max_age, &asked.to_string());
    let mut told = Told::new(StatusCode::UNAUTHORIZED, STEP_UP, STRONGER)
        .detail(asked)
        .header(WWW_AUTHENTICATE, value);
    told.step_up = Some(asked.steps());
    told
}

/// What to prove, in words.
fn asked(step_up: &StepUp) -> String {
    let factor = match step_up.assurance {
        0 | 1 => "a password",
        2 => "a one-time code",
        _ => "a key such as a passkey",
    };
    match step_up.max_age_s {
        Some(age) => format!("{factor} shown within the last {age} s is needed"),
        None => format!("{factor} is needed"),
    }
}
