//! `clients` of a listener and `machines`: whose certificates are believed, and whom they name.

use super::read::File;
use crate::document::{Code, Keys, Node, cut};
use crate::identity::{Attribute, CallerKind, MachineSettings, Settings, SubjectName, UnknownName};
use crate::tls::{Ask, ClientSettings};

const MACHINE: &[&str] = &["name", "certificate", "zones", "kind", "roles", "attributes"];

impl File<'_> {
    /// The outer `None` is a fault, the inner one asks for no certificates.
    #[expect(clippy::option_option, reason = "a fault is not the same as nothing asked for")]
    pub(super) fn clients(&mut self, keys: &Keys<'_>) -> Option<Option<ClientSettings>> {
        let Some(pair) = keys.find("clients") else { return Some(None) };
        let keys = self.reader.keys(&pair.value, "`clients`", &["ca", "crl", "ask"]);
        let what = ("`clients`", pair.key_span);
        let ca = self.path(&keys, what, "ca", "clients-ca.pem");
        let crl = match keys.find("crl") {
            Some(_) => Some(self.path(&keys, what, "crl", "clients.crl")?),
            None => None,
        };
        let ask = match keys.find("ask") {
            None => Ask::Optional,
            Some(pair) => match self.reader.text(&pair.value, "`ask`")? {
                "optional" => Ask::Optional,
                "required" => Ask::Required,
                other => {
                    let known = ["optional", "required"];
                    self.reader.unknown(pair.value.span, "word", &cut(other), &known);
                    return None;
                }
            },
        };
        Some(Some(ClientSettings { ca: ca?, crl, ask }))
    }

    pub(super) fn machines(&mut self, keys: &Keys<'_>) -> Vec<MachineSettings> {
        let Some(pair) = keys.find("machines") else { return Vec::new() };
        let items = self.reader.list(&pair.value, "`machines`");
        items.iter().filter_map(|item| self.machine(item)).collect()
    }

    fn machine(&mut self, node: &Node) -> Option<MachineSettings> {
        let keys = self.reader.keys(node, "a machine", MACHINE);
        let what = ("a machine", node.span);
        let name = self.text(&keys, what, "name", "reports");
        let text = self.text(&keys, what, "certificate", "uri:spiffe://bank.example/reports");
        let span = keys.find("certificate").map_or(node.span, |pair| pair.value.span);
        let name_in_certificate = text.and_then(|text| match text.parse::<SubjectName>() {
            Ok(name) => Some(name),
            Err(error) => {
                let error: UnknownName = error;
                self.reader.fault(span, Code::WrongValue, error.to_string(), None);
                None
            }
        });
        let words = |file: &mut Self, key: &str| -> Vec<String> {
            let Some(pair) = keys.find(key) else { return Vec::new() };
            let words = file.reader.words(&pair.value, &format!("`{key}`"));
            words.into_iter().map(|(word, _)| word.to_owned()).collect()
        };
        let zones = words(self, "zones");
        if zones.is_empty() {
            self.reader.missing(node.span, "a machine", "zones", "[business]");
        }
        let mut machine = MachineSettings {
            name: name?,
            name_in_certificate: name_in_certificate?,
            zones,
            kind: CallerKind::Machine,
            roles: words(self, "roles"),
            attributes: std::collections::BTreeMap::new(),
        };
        machine.roles.sort_unstable();
        machine.roles.dedup();
        if let Some(pair) = keys.find("kind") {
            machine.kind = self.kind(&pair.value)?;
        }
        if let Some(pair) = keys.find("attributes") {
            for pair in self.reader.map(&pair.value, "`attributes`") {
                if let Some(value) = self.reader.text(&pair.value, "an attribute") {
                    let value = Attribute::Text(value.to_owned());
                    machine.attributes.insert(pair.key.clone(), value);
                }
            }
        }
        Some(machine)
    }

    pub(super) fn devices(&mut self, keys: &Keys<'_>, settings: &mut Settings) {
        let Some(pair) = keys.find("devices") else { return };
        let keys = self.reader.keys(&pair.value, "`devices`", &["unknown-assurance"]);
        self.number(&keys, "unknown-assurance", (1, 3), |n| {
            settings.unknown_device_assurance = u8::try_from(n).unwrap_or(1);
        });
    }

    pub(super) fn dpop(&mut self, keys: &Keys<'_>, settings: &mut Settings) {
        let Some(pair) = keys.find("dpop") else { return };
        let keys = self.reader.keys(&pair.value, "`dpop`", &["nonce"]);
        settings.asks_for_nonces = self.flag(&keys, "nonce", false);
    }

    fn kind(&mut self, node: &Node) -> Option<CallerKind> {
        match self.reader.text(node, "`kind`")?.parse() {
            Ok(kind) => Some(kind),
            Err(error) => {
                let error: crate::identity::UnknownKind = error;
                self.reader.fault(node.span, Code::WrongValue, error.to_string(), None);
                None
            }
        }
    }
}
