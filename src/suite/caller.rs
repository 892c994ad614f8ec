//! Who asks in a test: what identity would have found out, and what the caller declares.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderValue;

use super::fixtures::Fixtures;
use super::json::is_number;
use crate::document::{Code, Content, Node, Pair, Reader, cut};
use crate::policy::{Factor, Grant, KnownCases, Principal, Program, Said, Subjects, Ties, Value};
use crate::proxy::{Contract, Registered};

/// How many callers may be like each other.
const LIKENESS_LIMIT: usize = 8;

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    account: String,
    roles: Vec<String>,
    attributes: BTreeMap<String, Value>,
    assurance: u8,
    factor_age_s: u32,
    address: Option<IpAddr>,
    device: Option<String>,
    pub(super) grant: Option<Arc<Grant>>,
    links: KnownCases,
    pub(super) registered: Option<Registered>,
    pub(super) zone: String,
    pub(super) purpose: Option<HeaderValue>,
    pub(super) ticket: Option<HeaderValue>,
}

impl Default for Caller {
    /// Somebody of the staff who has no roles and showed a password just now.
    fn default() -> Self {
        Self {
            account: "somebody".to_owned(),
            roles: Vec::new(),
            attributes: BTreeMap::from([("kind".to_owned(), Value::from("staff"))]),
            assurance: 1,
            factor_age_s: 0,
            address: None,
            device: None,
            grant: None,
            links: KnownCases::default(),
            registered: None,
            zone: "business".to_owned(),
            purpose: None,
            ticket: None,
        }
    }
}

impl Caller {
    /// The cases that tie the caller.
    pub(super) fn ties(&self) -> Arc<dyn Ties> {
        Arc::new(self.links.clone())
    }

    /// The caller as the policy sees one.
    pub(super) fn principal(&self, now_unix_s: i64) -> Arc<Principal> {
        let at_unix_s = now_unix_s.saturating_sub(i64::from(self.factor_age_s));
        Arc::new(Principal {
            account: self.account.clone(),
            roles: self.roles.clone(),
            roles_elsewhere: Vec::new(),
            attributes: self.attributes.clone(),
            factors: (1..=self.assurance).map(|level| Factor { level, at_unix_s }).collect(),
            assurance: self.assurance,
            address: self.address,
            device: self.device.clone(),
        })
    }
}

/// Reads a caller: the name of one of the fixtures, or a map.
pub(super) fn read(
    reader: &mut Reader<'_>,
    fixtures: &Fixtures<'_>,
    program: &Program,
    node: &Node,
) -> Option<Caller> {
    let mut caller = Caller::default();
    Reading { reader, fixtures, program }.apply(&mut caller, node, 0)?;
    Some(caller)
}

struct Reading<'r, 's, 't> {
    reader: &'r mut Reader<'s>,
    fixtures: &'r Fixtures<'t>,
    program: &'r Program,
}

impl Reading<'_, '_, '_> {
    fn apply(&mut self, caller: &mut Caller, node: &Node, likeness: usize) -> Option<()> {
        if let Content::Text(name) = &node.content {
            return self.named(caller, node, name, likeness);
        }
        let pairs = self.reader.map(node, "a caller");
        // What it is like comes first, whatever the order of the keys.
        if let Some(like) = pairs.iter().find(|pair| pair.key == "like") {
            let name = self.reader.text(&like.value, "`like`")?;
            self.named(caller, &like.value, name, likeness)?;
        }
        for pair in pairs.iter().filter(|pair| pair.key != "like") {
            self.key(caller, pair)?;
        }
        Some(())
    }

    fn named(
        &mut self,
        caller: &mut Caller,
        node: &Node,
        name: &str,
        likeness: usize,
    ) -> Option<()> {
        let Some(found) = self.fixtures.callers.get(name).copied() else {
            self.reader.unknown(node.span, "caller", &cut(name), &self.fixtures.caller_names());
            return None;
        };
        if likeness >= LIKENESS_LIMIT {
            let message = format!("callers are like each other more than {LIKENESS_LIMIT} deep");
            self.reader.fault(node.span, Code::Ring, message, None);
            return None;
        }
        self.apply(caller, found, likeness + 1)
    }

    fn key(&mut self, caller: &mut Caller, pair: &Pair) -> Option<()> {
        let node = &pair.value;
        let is_nothing = matches!(node.content, Content::Null);
        match pair.key.as_str() {
            "account" => caller.account = self.reader.text(node, "`account`")?.to_owned(),
            "roles" => caller.roles = self.roles(node),
            "assurance" => {
                let number = self.reader.number(node, "`assurance`", 0, 3)?;
                caller.assurance = u8::try_from(number).unwrap_or_default();
            }
            "factor_age" => caller.factor_age_s = self.reader.duration(node, "`factor_age`")?,
            "zone" => caller.zone = self.reader.text(node, "`zone`")?.to_owned(),
            "purpose" if is_nothing => caller.purpose = None,
            "purpose" => caller.purpose = Some(self.header(node, "`purpose`")?),
            "ticket" if is_nothing => caller.ticket = None,
            "ticket" => caller.ticket = Some(self.header(node, "`ticket`")?),
            "address" => caller.address = Some(self.address(node)?),
            "device" if is_nothing => caller.device = None,
            "device" => caller.device = Some(self.reader.text(node, "`device`")?.to_owned()),
            "grant" if is_nothing => caller.grant = None,
            "grant" => caller.grant = Some(Arc::new(self.grant(node)?)),
            "links" if is_nothing => caller.links = KnownCases::default(),
            "links" => caller.links = self.links(node),
            "registered" if is_nothing => caller.registered = None,
            "registered" => caller.registered = Some(self.registered(node)),
            "consents" => self.consents(node, &mut caller.links),
            "marks" => self.marks(node, &mut caller.links),
            name if is_nothing => {
                caller.attributes.remove(name);
            }
            name => {
                let value = self.attribute(node)?;
                caller.attributes.insert(name.to_owned(), value);
            }
        }
        Some(())
    }

    /// `{ id: G-1, subjects: [C1], about: { customer: C1 }, opens: customer.phone, lends: officer }`: the name of the
    /// grant, what conditions read of it, and what it is confined to.
    fn grant(&mut self, node: &Node) -> Option<Grant> {
        let mut grant = Grant::of_everything("test", BTreeMap::new());
        for pair in self.reader.map(node, "a grant") {
            match pair.key.as_str() {
                "id" => grant.id = self.reader.text(&pair.value, "`id`")?.to_owned(),
                "about" => grant.coverage.subjects = Some(self.subjects(&pair.value)),
                "opens" => {
                    let fields = self.reader.words(&pair.value, "`opens`");
                    let fields = fields.into_iter().map(|(field, _)| field.to_owned());
                    grant.coverage.fields = Some(fields.collect());
                }
                "query" => grant.coverage.search = self.search(&pair.value),
                "lends" => {
                    let role = self.reader.text(&pair.value, "`lends`")?;
                    grant.coverage.role = Some(role.to_owned());
                }
                _ => {
                    let value = self.attribute(&pair.value)?;
                    grant.attributes.insert(pair.key.clone(), value);
                }
            }
        }
        Some(grant)
    }

    /// `{ partners: { acme: { level: 2, purposes: [delivery] } }, tenants: [shop] }`: whom the registry has as active.
    fn registered(&mut self, node: &Node) -> Registered {
        let mut registered = Registered::default();
        let keys = self.reader.keys(node, "`registered`", &["partners", "tenants"]);
        let partners = keys.find("partners").map(|pair| self.reader.map(&pair.value, "`partners`"));
        for pair in partners.unwrap_or_default() {
            let contract = self.contract(&pair.value);
            registered.admit(&pair.key, contract);
        }
        if let Some(pair) = keys.find("tenants") {
            for (name, _) in self.reader.words(&pair.value, "`tenants`") {
                registered.serve(name);
            }
        }
        registered
    }

    /// What a partner's contract says; it does not end unless it says when.
    fn contract(&mut self, node: &Node) -> Contract {
        const KEYS: [&str; 4] = ["level", "purposes", "fields", "until"];
        let keys = self.reader.keys(node, "a partner", &KEYS);
        let mut contract = Contract { until: "9999-12-01".to_owned(), ..Contract::default() };
        let mut words = |key: &str| {
            let found = keys.find(key).map(|pair| self.reader.words(&pair.value, key));
            found.into_iter().flatten().map(|(word, _)| word.to_owned()).collect()
        };
        (contract.purposes, contract.fields) = (words("purposes"), words("fields"));
        if let Some(pair) = keys.find("level") {
            let level = self.reader.number(&pair.value, "`level`", 0, 3);
            contract.level = level.and_then(|level| u8::try_from(level).ok()).unwrap_or_default();
        }
        let until = keys.find("until").and_then(|pair| self.reader.text(&pair.value, "`until`"));
        contract.until = until.map_or(contract.until, str::to_owned);
        contract
    }

    /// `{ branch: 12, status: open }`: the search that a grant is about.
    fn search(&mut self, node: &Node) -> Vec<(String, String)> {
        let mut search = Vec::new();
        for pair in self.reader.map(node, "`query`") {
            if let Some(value) = self.reader.text(&pair.value, "a parameter of `query`") {
                search.push((pair.key.clone(), value.to_owned()));
            }
        }
        search
    }

    /// `{ call: { customer: [C1, C2] } }`: kinds of cases, with whom they tie the caller to.
    fn links(&mut self, node: &Node) -> KnownCases {
        let mut links = KnownCases::default();
        for kind in self.reader.map(node, "`links`") {
            for entity in self.reader.map(&kind.value, "a case of `links`") {
                for (key, _) in self.reader.words(&entity.value, "`links`") {
                    links.add(&kind.key, &entity.key, key);
                }
            }
        }
        links
    }

    /// `{ marketing: { customer: { C1: explicit, C2: separate/3@acme, C3: no } } }`: what data subjects said of purposes.
    fn consents(&mut self, node: &Node, known: &mut KnownCases) {
        for purpose in self.reader.map(node, "`consents`") {
            for entity in self.reader.map(&purpose.value, "a purpose of `consents`") {
                self.check_known(entity, Some(purpose), None);
                for subject in self.reader.map(&entity.value, "an entity of `consents`") {
                    let Some(text) = self.reader.text(&subject.value, "what was said") else {
                        continue;
                    };
                    let Some((said, to)) = Said::read(text) else {
                        let help =
                            "write `explicit`, `separate/3@acme`, `deemed` or `no`".to_owned();
                        let message = format!("`{}` is no answer", cut(text));
                        let span = subject.value.span;
                        self.reader.fault(span, Code::WrongValue, message, Some(help));
                        continue;
                    };
                    known.say(&entity.key, &subject.key, (&purpose.key, &to), said);
                }
            }
        }
    }

    /// `{ do-not-disclose: { customer: [C1] } }`: marks of data subjects.
    fn marks(&mut self, node: &Node, known: &mut KnownCases) {
        for mark in self.reader.map(node, "`marks`") {
            for entity in self.reader.map(&mark.value, "a mark of `marks`") {
                self.check_known(entity, None, Some(mark));
                for (key, _) in self.reader.words(&entity.value, "`marks`") {
                    known.mark(&entity.key, key, &mark.key);
                }
            }
        }
    }

    fn check_known(&mut self, entity: &Pair, purpose: Option<&Pair>, mark: Option<&Pair>) {
        let words = [purpose, mark].map(|pair| pair.map(|pair| pair.key.as_str()));
        let unknown = self.program.unknown_of_subjects(&entity.key, words[0], words[1]);
        if let Some(message) = unknown {
            self.reader.fault(entity.key_span, Code::UnknownName, message, None);
        }
    }

    /// `{ customer: [C1, C2] }`: entities with the keys of their data subjects.
    fn subjects(&mut self, node: &Node) -> Subjects {
        let mut subjects = Vec::new();
        for pair in self.reader.map(node, "`about`") {
            for (key, _) in self.reader.words(&pair.value, "`about`") {
                subjects.push((pair.key.clone(), key.to_owned()));
            }
        }
        subjects.into_iter().collect()
    }

    fn roles(&mut self, node: &Node) -> Vec<String> {
        let known: Vec<&str> = self.program.roles().map(|(name, ..)| name).collect();
        let mut roles = Vec::new();
        for (role, span) in self.reader.words(node, "`roles`") {
            if known.contains(&role) {
                roles.push(role.to_owned());
            } else {
                self.reader.unknown(span, "role", &cut(role), &known);
            }
        }
        roles
    }

    fn header(&mut self, node: &Node, what: &str) -> Option<HeaderValue> {
        let text = self.reader.text(node, what)?;
        let value = HeaderValue::from_bytes(text.as_bytes()).ok();
        if value.is_none() {
            let message = format!("{what} must be one line of text");
            self.reader.fault(node.span, Code::WrongValue, message, None);
        }
        value
    }

    fn address(&mut self, node: &Node) -> Option<IpAddr> {
        let text = self.reader.text(node, "`address`")?;
        let address = text.parse().ok();
        if address.is_none() {
            let message = format!("`address` must be an IP address, got `{}`", cut(text));
            self.reader.fault(node.span, Code::WrongValue, message, None);
        }
        address
    }

    /// As a token brings it: text, a whole number, a truth value or a list of texts.
    fn attribute(&mut self, node: &Node) -> Option<Value> {
        match &node.content {
            Content::List(items) => {
                let texts = items.iter().map(|item| {
                    Some(Value::from(self.reader.text(item, "an item of an attribute")?))
                });
                Some(Value::List(texts.collect::<Option<_>>()?))
            }
            Content::Text(text) if !node.is_plain => Some(Value::from(text.as_str())),
            Content::Text(text) => match (text.as_str(), text.parse::<i64>()) {
                ("true", _) => Some(Value::Bool(true)),
                ("false", _) => Some(Value::Bool(false)),
                (_, Ok(whole)) if is_number(text) => Some(Value::Integer(whole)),
                (_, Ok(_) | Err(_)) => Some(Value::from(text.as_str())),
            },
            Content::Null | Content::Map(_) => {
                self.reader.text(node, "an attribute")?;
                None
            }
        }
    }
}
