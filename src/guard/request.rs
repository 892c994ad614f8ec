//! The body of a request, judged whole: in which form it is said to come, what of it may be written, and
//! how it goes on. Nothing goes on as it came: JSON passes through the filter, a form is written anew.

use std::sync::Arc;

use bytes::Bytes;

use super::content_type::{check_charset, cut, each, split};
use super::encoding::EncodingFault;
use super::json::{self, Caps, Hooks, Mode};
use super::multipart::{self, FileHead, MultipartFault, Part, begins_as};
use super::{BodyFault, BodyGuard, Codings, ContentTypeFault, check_json, form};
use crate::policy::plan::Plan;
use crate::policy::{BodyForm, Unwritable, Uploads};

const FORM: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data";

/// Names and texts.
type Pairs = Vec<(String, String)>;

/// What is known of a body before it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its form.
    pub form: SentForm,
    /// Its content codings.
    pub codings: Codings,
}

/// A form, and what is needed to read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SentForm {
    /// One JSON text.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `multipart/form-data` with this boundary.
    Multipart(String),
}

/// A file of a body that passes.
#[derive(Clone, Debug)]
pub struct File {
    /// Its media type.
    pub media_type: String,
    /// What it holds.
    pub content: Bytes,
}

/// A body of which all may be written.
#[derive(Clone, Debug)]
pub struct Judged {
    /// It, as it goes on.
    pub content: Bytes,
    /// What it is, for `Content-Type`.
    pub content_type: String,
    /// The names of what was left out.
    pub dropped: Vec<String>,
    /// The files in it.
    pub files: Vec<File>,
}

/// By which rules a body is judged.
#[derive(Clone, Debug)]
pub struct Terms<'p> {
    /// What may be written.
    pub plan: &'p Arc<Plan>,
    /// What becomes of the rest.
    pub unwritable: Unwritable,
    /// The files that it may bring.
    pub uploads: Option<&'p Uploads>,
    /// How much is held of it.
    pub caps: Caps,
    /// The most bytes once decoded.
    pub most_bytes: u64,
}

impl SentForm {
    fn kind(&self) -> BodyForm {
        match self {
            Self::Json => BodyForm::Json,
            Self::Form => BodyForm::Form,
            Self::Multipart(_) => BodyForm::Multipart,
        }
    }
}

/// In which of these forms a body comes, from the values of all its `Content-Type` fields.
///
/// # Errors
/// A [`ContentTypeFault`] for any other, and for another character encoding than UTF-8.
pub fn check_sent<'a>(
    fields: impl IntoIterator<Item = &'a [u8]>,
    accepted: &[BodyForm],
) -> Result<SentForm, ContentTypeFault> {
    let fields: Vec<&[u8]> = fields.into_iter().collect();
    if accepted == [BodyForm::Json] {
        return check_json(fields).map(|()| SentForm::Json);
    }
    let (media_type, parameters) = split(fields.iter().copied())?;
    let form = if media_type == FORM {
        check_charset(parameters)?;
        SentForm::Form
    } else if media_type == MULTIPART {
        SentForm::Multipart(boundary(parameters)?)
    } else {
        let unsent = |_other| ContentTypeFault::Unsent(cut(&media_type));
        check_json(fields).map_err(unsent)?;
        SentForm::Json
    };
    if accepted.contains(&form.kind()) {
        Ok(form)
    } else {
        Err(ContentTypeFault::Unsent(cut(&media_type)))
    }
}

/// The one parameter of a form with files; a character encoding it has none.
fn boundary(parameters: &str) -> Result<String, ContentTypeFault> {
    let mut parameters = each(parameters);
    let (name, value) = parameters.next().ok_or(ContentTypeFault::Malformed)??;
    let is_boundary = name.eq_ignore_ascii_case("boundary") && multipart::is_boundary(value);
    if !is_boundary || parameters.next().is_some() {
        return Err(ContentTypeFault::Malformed);
    }
    Ok(value.to_owned())
}

/// Judges a body that is held whole.
///
/// # Errors
/// The [`BodyFault`] that refuses it.
pub fn judge_request<H: Hooks>(
    sent: &Sent,
    body: Bytes,
    terms: &Terms<'_>,
    hooks: H,
) -> Result<Judged, BodyFault> {
    // Nobody encodes a form, and a second reader may not know that it is one.
    if sent.form != SentForm::Json && sent.codings != Codings::NONE {
        return Err(EncodingFault::Form(sent.codings).into());
    }
    match &sent.form {
        SentForm::Json => {
            let (content, dropped) = judge_json(sent.codings, body, terms, hooks)?;
            Ok(Judged {
                content,
                content_type: "application/json".to_owned(),
                dropped,
                files: Vec::new(),
            })
        }
        SentForm::Form => {
            let (pairs, dropped) = judge_pairs(form::pairs(&body)?, terms, hooks)?;
            let content = Bytes::from(form::written(&pairs));
            Ok(Judged { content, content_type: FORM.to_owned(), dropped, files: Vec::new() })
        }
        SentForm::Multipart(boundary) => judge_multipart(&body, boundary, terms, hooks),
    }
}

/// Judges texts as those of a form, and files by what the route says of their names.
fn judge_multipart<H: Hooks>(
    body: &Bytes,
    boundary: &str,
    terms: &Terms<'_>,
    hooks: H,
) -> Result<Judged, BodyFault> {
    let (mut texts, mut files) = (Pairs::new(), Vec::new());
    for part in multipart::parts(body, boundary)? {
        if let Some(head) = &part.file {
            // What browsers send of a field in which nobody chose a file.
            if part.content.is_empty() && head.media_type == "application/octet-stream" {
                continue;
            }
            check_file(terms.uploads, &part, head, &files)?;
            files.push(part);
            continue;
        }
        let text =
            String::from_utf8(part.content.to_vec()).ok().filter(|text| !text.contains('\0'));
        let text = text.ok_or_else(|| MultipartFault::NotText(shown(&part.name)))?;
        texts.push((part.name, text));
    }
    let (texts, dropped) =
        if texts.is_empty() { Default::default() } else { judge_pairs(texts, terms, hooks)? };
    let text = |(name, text)| Part { name, file: None, content: Bytes::from(text) };
    let mut parts: Vec<Part> = texts.into_iter().map(text).collect();
    let facts = files.iter().filter_map(|part| {
        let media_type = part.file.as_ref()?.media_type.clone();
        Some(File { media_type, content: part.content.clone() })
    });
    let facts = facts.collect();
    parts.append(&mut files);
    let (content, content_type) = multipart::written(&parts)?;
    Ok(Judged { content, content_type, dropped, files: facts })
}

fn check_file(
    uploads: Option<&Uploads>,
    part: &Part,
    head: &FileHead,
    before: &[Part],
) -> Result<(), MultipartFault> {
    let name = || shown(&part.name);
    let rule = uploads.and_then(|uploads| uploads.rule(&part.name));
    let rule = rule.ok_or_else(|| MultipartFault::Undeclared(name()))?;
    if !rule.accepts(&head.media_type) || !begins_as(&head.media_type, &part.content) {
        return Err(MultipartFault::Type(name()));
    }
    if part.content.len() as u64 > rule.size_bytes() {
        return Err(MultipartFault::TooLarge { name: name(), most: rule.size_bytes() });
    }
    let count = before.iter().filter(|other| other.name == part.name).count();
    if u32::try_from(count).is_ok_and(|count| count < rule.most()) {
        return Ok(());
    }
    Err(MultipartFault::TooManyFiles { name: name(), most: rule.most() })
}

fn shown(name: &str) -> String {
    name.chars().take(64).collect()
}

/// Judges named texts as JSON of the same shape.
fn judge_pairs<H: Hooks>(
    pairs: Pairs,
    terms: &Terms<'_>,
    hooks: H,
) -> Result<(Pairs, Vec<String>), BodyFault> {
    let tree = form::nest(pairs)?;
    let body = Bytes::from(tree.to_string());
    let (content, dropped) = judge_json(Codings::NONE, body, terms, hooks)?;
    let tree = serde_json::from_slice(&content).ok().ok_or(BodyFault::NothingLeft)?;
    Ok((form::flatten(&tree), dropped))
}

fn judge_json<H: Hooks>(
    codings: Codings,
    body: Bytes,
    terms: &Terms<'_>,
    hooks: H,
) -> Result<(Bytes, Vec<String>), BodyFault> {
    let mode = match terms.unwritable {
        Unwritable::Refuse => Mode::Refuse,
        Unwritable::Drop => Mode::Trim,
    };
    let (plan, most) = (Arc::clone(terms.plan), terms.most_bytes);
    let mut guard = BodyGuard::request(codings, plan, terms.caps, most, mode, hooks);
    guard.push(body).and_then(|()| guard.finish())?;
    let report = guard.report();
    let passed = report.fields.iter().any(|count| count.clear > 0);
    let dropped = dropped(terms.plan, report);
    // Told as done, a change of nothing would be taken for one of all that was sent.
    if report.root_withheld || (report.trimmed > 0 && !passed) {
        return Err(BodyFault::NothingLeft);
    }
    Ok((Bytes::from(guard.take_output().concat()), dropped))
}

fn dropped(plan: &Plan, report: &json::Report) -> Vec<String> {
    let fields = plan.fields.iter().zip(&report.fields);
    let declared = fields.filter(|(_, count)| count.withheld > 0).map(|(name, _)| name.to_string());
    declared.chain(report.unlisted_names.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_comes_in_one_of_the_forms_of_its_route() {
        let check =
            |field: &'static str, accepted: &[BodyForm]| check_sent([field.as_bytes()], accepted);
        let both = [BodyForm::Json, BodyForm::Form];
        assert_eq!(check("application/json", &both), Ok(SentForm::Json));
        let form = "Application/X-WWW-Form-URLencoded; charset=UTF-8";
        assert_eq!(check(form, &both), Ok(SentForm::Form));
        assert_eq!(check(form, &[BodyForm::Form]), Ok(SentForm::Form));
        assert!(matches!(check(form, &[BodyForm::Json]), Err(ContentTypeFault::Unsupported(_))));
        assert!(matches!(
            check("application/json", &[BodyForm::Form]),
            Err(ContentTypeFault::Unsent(_))
        ));
        let gbk = "application/x-www-form-urlencoded; charset=gbk";
        assert_eq!(check(gbk, &both), Err(ContentTypeFault::Charset("gbk".into())));
        for other in ["multipart/form-data; boundary=a", "text/plain", "text/xml", ""] {
            assert!(matches!(check(other, &both), Err(ContentTypeFault::Unsent(_))), "{other}");
        }
    }
}
