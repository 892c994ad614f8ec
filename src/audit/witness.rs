//! What a witness is asked (C2SP tlog-witness), and where its answer is kept.
//!
//! A witness is somebody else who cosigns a checkpoint once they have seen that it continues the last one that they cosigned.
//! Here is the text of the question and the check of the answer; who carries them is `ship`.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::consistency::consistency_proof;
use super::fault::{Broken, Fault, unreadable};
use super::folder::{Folder, Part, sync_folder};
use super::note::{Checkpoint, NoteError, Verifier, Witness};
use super::proof::node;

/// A question to a witness: to cosign the log's newest checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessQuestion {
    /// How many entries the checkpoint covers.
    pub size: u64,
    note: String,
    body: String,
}

impl WitnessQuestion {
    /// The question about the log in `dir` to a witness who saw its first `old` entries. Blocks.
    ///
    /// # Errors
    /// [`Fault::Shorter`] if the checkpoint covers fewer than `old`, or the place at which the log does not hold.
    pub fn of(dir: &Path, verifier: &Verifier, old: u64) -> Result<Self, Broken> {
        let folder = Folder::new(dir);
        let note = folder.read_checkpoint();
        let note = note.map_err(|e| Broken::new("checkpoint", None, unreadable(&e)))?;
        let broken = |error| Broken::new("checkpoint", None, Fault::Checkpoint(error));
        let Checkpoint { size, .. } = verifier.open(&note).map_err(broken)?;
        let mut node = |level: u32, n: u64| node(&folder, size, level, n);
        let Some(proof) = consistency_proof(old, size, &mut node)? else {
            return Err(Broken::new(
                "checkpoint",
                size,
                Fault::Shorter { entries: size, size: old },
            ));
        };
        let note = String::from_utf8(note).map_err(|_not_text| broken(NoteError::Form))?;
        let hashes: String = proof.iter().map(|hash| STANDARD.encode(hash) + "\n").collect();
        let body = format!("old {old}\n{hashes}\n{note}");
        Ok(Self { size, note, body })
    }

    /// What is sent.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The cosigned checkpoint of a witness's answer, and when it was cosigned, in Unix seconds. Lines of others in the answer
    /// are left out.
    ///
    /// # Errors
    /// [`NoteError::Unsigned`] if the witness did not sign, [`NoteError::Signature`] if it does not hold.
    pub fn cosigned(&self, answer: &[u8], witness: &Witness) -> Result<(String, u64), NoteError> {
        let answer = str::from_utf8(answer).ok().ok_or(NoteError::Form)?;
        let own = format!("\u{2014} {} ", witness.name());
        let lines = answer.lines().filter(|line| line.starts_with(&own));
        let mut found = Err(NoteError::Unsigned(witness.to_string()));
        // It may have several keys of one name.
        for line in lines.take(16) {
            let note = format!("{}{line}\n", self.note);
            match witness.cosigned(note.as_bytes()) {
                Ok(time) => return Ok((note, time)),
                Err(NoteError::Unsigned(_)) => {}
                Err(error) => found = Err(error),
            }
        }
        found
    }
}

/// Keeps the newest checkpoint that a witness cosigned, in the log's folder under the name that the operator gave it. Blocks.
///
/// # Errors
/// What the system says.
pub fn keep_cosigned(dir: &Path, name: &str, note: &str) -> io::Result<()> {
    let folder = Folder::new(dir).part(Part::Witnessed);
    fs::create_dir_all(&folder)?;
    let temporary = folder.join(format!("{name}.tmp"));
    let mut file = File::create(&temporary)?;
    file.write_all(note.as_bytes())?;
    file.sync_all()?;
    fs::rename(temporary, folder.join(name))?;
    sync_folder(&folder)
}

/// The newest checkpoints of the log in `dir` that witnesses cosigned, with the names of their files. Blocks.
///
/// # Errors
/// The file that is no checkpoint of this log.
pub fn cosigned_checkpoints(
    dir: &Path,
    verifier: &Verifier,
) -> Result<Vec<(String, Checkpoint, Vec<u8>)>, Broken> {
    let folder = Folder::new(dir);
    let broken = |path: &str, fault| Broken::new(path, None, fault);
    let names =
        folder.names_of(Part::Witnessed).map_err(|e| broken("witnessed", unreadable(&e)))?;
    let read = |name: String| {
        let path = format!("witnessed/{name}");
        let note =
            folder.read_of(Part::Witnessed, &name).map_err(|e| broken(&path, unreadable(&e)))?;
        let checkpoint = verifier.open(&note);
        let checkpoint = checkpoint.map_err(|e| broken(&path, Fault::Checkpoint(e)))?;
        Ok((path, checkpoint, note))
    };
    names.into_iter().map(read).collect()
}
