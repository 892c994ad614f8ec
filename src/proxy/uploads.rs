//! Bodies with files: how much of them is held, and who must call them clean before the backend is asked.

use std::sync::Arc;

use bytes::Bytes;

use super::rejection::Rejection;
use super::room::Room;
use super::trail::Trail;
use super::{Gate, Settings};
use crate::audit;
use crate::guard::{Judged, SentForm};
use crate::policy::Permit;
use crate::scan::{ScanError, Verdict};

/// The most bytes of a request's body.
pub(super) fn body_limit(permit: &Permit, form: &SentForm, settings: &Settings) -> usize {
    let files = match form {
        SentForm::Json | SentForm::Form => None,
        SentForm::Multipart(_) => permit.route().sending().uploads(),
    };
    let files = files.map_or(0, |uploads| uploads.most_bytes());
    settings.request_limit_bytes.saturating_add(usize::try_from(files).unwrap_or(usize::MAX))
}

/// Bytes that keep their room until nobody holds them any more, however long the backend takes for them.
struct Held {
    content: Bytes,
    _room: Room,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.content
    }
}

/// The same bytes, in the room that was taken for them.
pub(super) fn held(content: Bytes, room: Option<Room>) -> Bytes {
    match room {
        Some(room) => Bytes::from_owner(Held { content, _room: room }),
        None => content,
    }
}

impl Gate {
    /// Room for a body with files; the others are few and small.
    pub(super) fn room(&self, form: &SentForm, limit_bytes: usize, trail: &Trail) -> Option<Room> {
        if !matches!(form, SentForm::Multipart(_)) {
            return None;
        }
        let person = self.identity.counted_as(&trail.account().unwrap_or_default());
        Some(Room::of(&self.uploads, person, limit_bytes))
    }

    /// Counts the files of a body and has them scanned where the route says so. Nothing of the body reaches
    /// the backend before all of them are called clean.
    pub(super) async fn scan(
        &self,
        permit: &Permit,
        judged: &Judged,
        trail: &mut Trail,
    ) -> Result<(), Rejection> {
        let Some(uploads) = permit.route().sending().uploads() else { return Ok(()) };
        let bytes: usize = judged.files.iter().map(|file| file.content.len()).sum();
        let mut entry = audit::Uploads {
            files: judged.files.len() as u64,
            bytes: bytes as u64,
            scanner: uploads.scanner().unwrap_or_default().into(),
            ..audit::Uploads::default()
        };
        let outcome = match uploads.scanner().filter(|_| !judged.files.is_empty()) {
            Some(scanner) => self.ask(scanner, judged).await.map(Some),
            None => Ok(None),
        };
        let result = match outcome {
            Ok(None) => Ok(()),
            Ok(Some(Verdict::Clean)) => {
                entry.verdict = "clean".into();
                Ok(())
            }
            Ok(Some(Verdict::Found(finding))) => {
                (entry.verdict, entry.finding) = ("found".into(), finding.as_str().into());
                Err(Rejection::Unclean)
            }
            Err(error) => {
                entry.verdict = "none".into();
                Err(Rejection::Unscanned(error))
            }
        };
        if let Some(outcome) = trail.outcome() {
            outcome.disclosure().with(|whole| {
                whole.request.get_or_insert_default().uploads = Some(entry);
            });
        }
        result
    }

    /// The first verdict that is not clean, else clean.
    async fn ask(&self, scanner: &str, judged: &Judged) -> Result<Verdict, ScanError> {
        let scanners = Arc::clone(&self.configured().scanners);
        for file in &judged.files {
            match scanners.scan(scanner, &file.content, &file.media_type).await? {
                Verdict::Clean => {}
                found @ Verdict::Found(_) => return Ok(found),
            }
        }
        Ok(Verdict::Clean)
    }
}

#[cfg(test)]
mod tests {
    use super::super::room::Rooms;
    use super::*;

    #[test]
    fn a_body_keeps_its_room_until_the_last_piece_of_it_is_gone() {
        const MOST: usize = 64 * 1024 * 1024;
        let rooms = Arc::new(Rooms::default());
        let room = || Room::of(&rooms, "wang".into(), MOST);
        let mut taken = room();
        assert!(taken.hold(MOST));
        let mut body = held(Bytes::from_static(b"a file"), Some(taken));
        let last = body.split_off(2);
        assert_eq!((&*body, &*last), (&b"a "[..], &b"file"[..]));
        drop(body);
        assert!(!room().hold(1));
        drop(last);
        assert!(room().hold(MOST));
    }
}
