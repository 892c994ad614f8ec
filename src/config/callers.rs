//! `issuers`, `sessions` and `sign-in`: who is believed, and for how long.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::read::{File, wide};
use crate::document::{Code, Keys, Node, Span, cut};
use crate::identity;

const ISSUER: &[&str] = &[
    "name",
    "issuer",
    "audience",
    "keys",
    "ca",
    "refresh",
    "keep",
    "kind",
    "roles",
    "attributes",
    "posture",
    "assurance",
    "amr-assurance",
    "methods",
    "sign-in",
    "auth-time",
    "leeway",
    "bound",
];

impl File<'_> {
    pub(super) fn identity(&mut self, keys: &Keys<'_>) -> identity::Settings {
        let mut settings = identity::Settings::default();
        if let Some(pair) = keys.find("issuers") {
            let items = self.reader.list(&pair.value, "`issuers`");
            settings.issuers = items.iter().filter_map(|item| self.issuer(item)).collect();
        }
        settings.machines = self.machines(keys);
        self.devices(keys, &mut settings);
        self.tokens(keys, &mut settings);
        self.dpop(keys, &mut settings);
        self.sessions(keys, &mut settings.session);
        self.sign_in(keys, &mut settings);
        settings
    }

    /// What is remembered of tokens. With 0 each is verified at each request.
    fn tokens(&mut self, keys: &Keys<'_>, settings: &mut identity::Settings) {
        let Some(pair) = keys.find("tokens") else { return };
        let keys = self.reader.keys(&pair.value, "`tokens`", &["cache"]);
        self.number(&keys, "cache", (0, 1_000_000), |n| settings.token_cache = wide(n));
    }

    fn sessions(&mut self, keys: &Keys<'_>, session: &mut identity::SessionSettings) {
        let Some(pair) = keys.find("sessions") else { return };
        let known = ["idle", "longest", "per-account", "parked-kib", "parked-for"];
        let keys = self.reader.keys(&pair.value, "`sessions`", &known);
        self.seconds(&keys, "idle", |s| session.idle_s = s);
        self.seconds(&keys, "longest", |s| session.absolute_s = s);
        self.number(&keys, "per-account", (1, 100), |n| session.per_account = n);
        self.number(&keys, "parked-kib", (0, 1024), |n| {
            session.parked_bytes = wide(n) * 1024;
        });
        self.seconds(&keys, "parked-for", |s| session.parked_s = s);
    }

    fn sign_in(&mut self, keys: &Keys<'_>, settings: &mut identity::Settings) {
        let Some(pair) = keys.find("sign-in") else { return };
        let known = [
            "failures",
            "failures-per-address",
            "within",
            "locked-for",
            "longest-lock",
            "known-network",
            "house-words",
            "password-age",
            "forced-change",
            "hashes",
            "queue",
        ];
        let keys = self.reader.keys(&pair.value, "`sign-in`", &known);
        let lockout = &mut settings.lockout;
        self.number(&keys, "failures", (3, 100), |n| lockout.per_name = n);
        self.number(&keys, "failures-per-address", (3, 100_000), |n| {
            lockout.per_address = n;
        });
        self.seconds(&keys, "within", |s| lockout.window_s = s);
        self.seconds(&keys, "locked-for", |s| lockout.lock_s = s);
        self.seconds(&keys, "longest-lock", |s| lockout.longest_lock_s = s);
        self.seconds(&keys, "known-network", |s| lockout.known_network_s = s);
        self.number(&keys, "hashes", (1, 64), |n| settings.hashes_at_once = wide(n));
        self.seconds(&keys, "queue", |s| settings.hash_patience_s = s.clamp(1, 30));
        self.passwords(&keys, settings);
    }

    fn passwords(&mut self, keys: &Keys<'_>, settings: &mut identity::Settings) {
        self.seconds(keys, "password-age", |s| settings.password.old_after_s = s);
        if let Some(pair) = keys.find("forced-change")
            && let Some(word) = self.reader.text(&pair.value, "`forced-change`")
        {
            match word {
                "none" => settings.password.must_change = false,
                "by-age" => settings.password.must_change = true,
                other => {
                    let known = ["none", "by-age"];
                    self.reader.unknown(pair.value.span, "word", &cut(other), &known);
                }
            }
        }
        if let Some(pair) = keys.find("house-words") {
            let words = self.reader.words(&pair.value, "`house-words`");
            settings.house_words = words.into_iter().map(|(word, _)| word.to_owned()).collect();
        }
    }

    fn issuer(&mut self, node: &Node) -> Option<identity::IssuerSettings> {
        let keys = self.reader.keys(node, "an issuer", ISSUER);
        let what = ("an issuer", node.span);
        let name = self.text(&keys, what, "name", "staff");
        let issuer = self.text(&keys, what, "issuer", "https://login.example");
        let audience = self.text(&keys, what, "audience", "menshen");
        let source = self.key_source(&keys, what);
        let nowhere = PathBuf::new();
        let mut settings = identity::IssuerSettings::new(&name?, &issuer?, &audience?, nowhere);
        settings.keys = source?;
        if let Some(pair) = keys.find("roles") {
            let words = self.reader.words(&pair.value, "`roles`");
            settings.roles_claim = words.into_iter().map(|(word, _)| word.to_owned()).collect();
        }
        if let Some(pair) = keys.find("kind") {
            let text = self.reader.text(&pair.value, "`kind`")?;
            match text.parse() {
                Ok(kind) => settings.kind = kind,
                Err(error) => {
                    let error: identity::UnknownKind = error;
                    self.reader.fault(pair.value.span, Code::WrongValue, error.to_string(), None);
                }
            }
        }
        if let Some(pair) = keys.find("attributes") {
            for pair in self.reader.map(&pair.value, "`attributes`") {
                if let Some(attribute) = self.reader.text(&pair.value, "an attribute") {
                    settings.attributes.insert(pair.key.clone(), attribute.to_owned());
                }
            }
        }
        settings.posture = self.posture(&keys, &settings.attributes);
        settings.sign_in = self.at_issuer(&keys, what);
        settings.assurance = self.levels(&keys, "assurance");
        settings.methods_assurance = self.levels(&keys, "amr-assurance");
        settings.methods = self.methods(&keys);
        if keys.find("auth-time").is_some()
            && let Some(claim) = self.text(&keys, what, "auth-time", "auth_time")
        {
            settings.auth_time_claim = claim;
        }
        self.seconds(&keys, "leeway", |s| settings.leeway_s = s.min(300));
        settings.is_bound = self.flag(&keys, "bound", false);
        Some(settings)
    }

    /// A file, or an address with the certificates that vouch for it.
    fn key_source(&mut self, keys: &Keys<'_>, what: (&str, Span)) -> Option<identity::KeySource> {
        let text = self.text(keys, what, "keys", "jwks.json")?;
        if !text.contains("://") {
            let signs_in = keys.find("sign-in").is_some();
            for key in ["ca", "refresh", "keep"] {
                if let Some(pair) = keys.find(key)
                    && !(signs_in && key == "ca")
                {
                    let message = format!("`{key}` is for keys at an address; `keys` is a file");
                    self.reader.fault(pair.value.span, Code::WrongValue, message, None);
                }
            }
            return Some(identity::KeySource::File(self.base.join(text)));
        }
        if !text.starts_with("https://") {
            let message =
                format!("`keys` must be a file or begin with `https://`, got `{}`", cut(&text));
            let span = keys.find("keys").map_or(what.1, |pair| pair.value.span);
            self.reader.fault(span, Code::WrongValue, message, None);
            return None;
        }
        let ca = self.path(keys, what, "ca", "login-ca.pem")?;
        let (mut refresh_s, mut keep_s) = (300, 24 * 3600);
        self.seconds(keys, "refresh", |s| refresh_s = s.max(30));
        self.seconds(keys, "keep", |s| keep_s = s);
        Some(identity::KeySource::Url { url: text, ca, refresh_s, keep_s: keep_s.max(refresh_s) })
    }

    /// How people sign in there in a browser.
    fn at_issuer(
        &mut self,
        keys: &Keys<'_>,
        what: (&str, Span),
    ) -> Option<identity::SignInSettings> {
        let pair = keys.find("sign-in")?;
        let ca = self.path(keys, what, "ca", "login-ca.pem");
        let known = ["client-id", "client-secret", "scopes"];
        let inner = self.reader.keys(&pair.value, "`sign-in` of an issuer", &known);
        let what = ("`sign-in` of an issuer", pair.value.span);
        let client_id = self.text(&inner, what, "client-id", "menshen-gate");
        let has_secret = inner.find("client-secret").is_some();
        let client_secret = if has_secret {
            self.path(&inner, what, "client-secret", "client.secret")
        } else {
            None
        };
        let mut scopes = vec!["openid".to_owned()];
        if let Some(pair) = inner.find("scopes") {
            let words = self.reader.words(&pair.value, "`scopes`");
            scopes.extend(words.into_iter().map(|(word, _)| word.to_owned()));
            scopes.dedup();
        }
        Some(identity::SignInSettings { client_id: client_id?, client_secret, ca: ca?, scopes })
    }

    /// A map from what a token says to an assurance level.
    fn levels(&mut self, keys: &Keys<'_>, key: &str) -> BTreeMap<String, u8> {
        let Some(pair) = keys.find(key) else { return BTreeMap::new() };
        let mut levels = BTreeMap::new();
        for pair in self.reader.map(&pair.value, &format!("`{key}`")) {
            let level = self.reader.number(&pair.value, "an assurance level", 1, 3);
            if let Some(level) = level.and_then(|n| u8::try_from(n).ok()) {
                levels.insert(pair.key.clone(), level);
            }
        }
        levels
    }

    /// What the values of `amr` and `acr` are called in the log.
    fn methods(&mut self, keys: &Keys<'_>) -> BTreeMap<String, identity::FactorMethod> {
        let Some(pair) = keys.find("methods") else { return BTreeMap::new() };
        let mut methods = BTreeMap::new();
        for pair in self.reader.map(&pair.value, "`methods`") {
            let Some(word) = self.reader.text(&pair.value, "a method") else { continue };
            match word.parse() {
                Ok(method) => drop(methods.insert(pair.key.clone(), method)),
                Err(error) => {
                    let error: identity::UnknownMethod = error;
                    self.reader.fault(pair.value.span, Code::WrongValue, error.to_string(), None);
                }
            }
        }
        methods
    }
}
