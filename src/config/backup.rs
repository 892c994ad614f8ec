//! `backup`: when backups are made, and where to.

use std::time::Duration;

use super::read::File;
use crate::backup::{Place, PlaceSettings, Settings};
use crate::document::{Code, Keys, Pair};

const KEYS: [&str; 3] = ["every", "keep", "to"];
const FOLDER: [&str; 1] = ["folder"];
const STORE: [&str; 10] = [
    "url",
    "bucket",
    "prefix",
    "region",
    "credentials",
    "server-name",
    "ca",
    "certificate",
    "certificate-key",
    "plain",
];
const HOUR: Duration = Duration::from_secs(3600);

impl File<'_> {
    pub(super) fn backup(&mut self, keys: &Keys<'_>) -> Option<Settings> {
        let pair = keys.find("backup")?;
        let keys = self.reader.keys(&pair.value, "`backup`", &KEYS);
        let (mut every, mut keep) = (24 * HOUR, 30 * 24 * HOUR);
        self.span(&keys, "every", (HOUR, 25 * HOUR), |time| every = time);
        self.span(&keys, "keep", (2 * 24 * HOUR, 400 * 24 * HOUR), |time| keep = time);
        let Some(to) = keys.find("to") else {
            self.reader.missing(pair.key_span, "`backup`", "to", "{ nas: { folder: … }, … }");
            return None;
        };
        let pairs = self.reader.map(&to.value, "`to`");
        if !(2..=8).contains(&pairs.len()) {
            let message = format!("`to` must name two to eight places, got {}", pairs.len());
            let help = "one place can be lost together with the machine".to_owned();
            self.reader.fault(to.key_span, Code::WrongValue, message, Some(help));
        }
        let places: Vec<_> = pairs.iter().filter_map(|pair| self.backup_place(pair)).collect();
        Some(Settings { every, keep, places })
    }

    fn backup_place(&mut self, pair: &Pair) -> Option<PlaceSettings> {
        let what = ("a place of `backup`", pair.key_span);
        let is_folder = self.reader.map(&pair.value, what.0).iter().any(|key| key.key == "folder");
        let known: &[&str] = if is_folder { &FOLDER } else { &STORE };
        let keys = self.reader.keys(&pair.value, what.0, known);
        let place = match is_folder {
            true => Place::Folder(self.path(&keys, what, "folder", "/mnt/nas/menshen")?),
            false => Place::S3(Box::new(self.s3(&keys, what)?)),
        };
        Some(PlaceSettings { name: pair.key.clone(), place })
    }
}
