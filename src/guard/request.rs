//! The body of a request, judged whole: in which form it is said to come, what of it may be written, and
//! how it goes on. Nothing goes on as it came: JSON passes through the filter, a form is written anew.

use std::sync::Arc;

use bytes::Bytes;

use super::content_type::{check_charset, cut, split};
use super::encoding::EncodingFault;
use super::json::{self, Caps, Hooks, Mode};
use super::{BodyFault, BodyGuard, Codings, ContentTypeFault, check_json, form};
use crate::policy::plan::Plan;
use crate::policy::{BodyForm, Unwritable};

const FORM: &str = "application/x-www-form-urlencoded";

/// Names and texts.
type Pairs = Vec<(String, String)>;

/// What is known of a body before it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its form.
    pub form: BodyForm,
    /// Its content codings.
    pub codings: Codings,
}

/// A body of which all may be written.
#[derive(Clone, Debug)]
pub struct Judged {
    /// It, as it goes on.
    pub content: Bytes,
    /// What it is, for `Content-Type`.
    pub content_type: &'static str,
    /// The names of what was left out.
    pub dropped: Vec<String>,
}

/// By which rules a body is judged.
#[derive(Clone, Debug)]
pub struct Terms<'p> {
    /// What may be written.
    pub plan: &'p Arc<Plan>,
    /// What becomes of the rest.
    pub unwritable: Unwritable,
    /// How much is held of it.
    pub caps: Caps,
    /// The most bytes once decoded.
    pub most_bytes: u64,
}

/// In which of these forms a body comes, from the values of all its `Content-Type` fields.
///
/// # Errors
/// A [`ContentTypeFault`] for any other, and for another character encoding than UTF-8.
pub fn check_sent<'a>(
    fields: impl IntoIterator<Item = &'a [u8]>,
    accepted: &[BodyForm],
) -> Result<BodyForm, ContentTypeFault> {
    let fields: Vec<&[u8]> = fields.into_iter().collect();
    if accepted == [BodyForm::Json] {
        return check_json(fields).map(|()| BodyForm::Json);
    }
    let (media_type, parameters) = split(fields.iter().copied())?;
    let form = if media_type == FORM {
        check_charset(parameters)?;
        BodyForm::Form
    } else {
        let unsent = |_other| ContentTypeFault::Unsent(cut(&media_type));
        check_json(fields).map_err(unsent)?;
        BodyForm::Json
    };
    if accepted.contains(&form) {
        Ok(form)
    } else {
        Err(ContentTypeFault::Unsent(cut(&media_type)))
    }
}

/// Judges a body that is held whole. `look` is shown what was noticed in it, whether it passes or not.
///
/// # Errors
/// The [`BodyFault`] that refuses it.
pub fn judge_request<H: Hooks>(
    sent: &Sent,
    body: Bytes,
    terms: &Terms<'_>,
    hooks: H,
    look: impl FnOnce(&json::Report),
) -> Result<Judged, BodyFault> {
    match sent.form {
        BodyForm::Json => {
            let (content, dropped) = judge_json(sent.codings, body, terms, hooks, look)?;
            Ok(Judged { content, content_type: "application/json", dropped })
        }
        BodyForm::Form => {
            // Nobody encodes a form, and a second reader may not know that it is one.
            if sent.codings != Codings::NONE {
                return Err(EncodingFault::Form(sent.codings).into());
            }
            let (pairs, dropped) = judge_pairs(form::pairs(&body)?, terms, hooks, look)?;
            let content = Bytes::from(form::written(&pairs));
            Ok(Judged { content, content_type: FORM, dropped })
        }
    }
}

/// Judges named texts as JSON of the same shape.
fn judge_pairs<H: Hooks>(
    pairs: Pairs,
    terms: &Terms<'_>,
    hooks: H,
    look: impl FnOnce(&json::Report),
) -> Result<(Pairs, Vec<String>), BodyFault> {
    let tree = form::nest(pairs)?;
    let body = Bytes::from(tree.to_string());
    let (content, dropped) = judge_json(Codings::NONE, body, terms, hooks, look)?;
    let tree = serde_json::from_slice(&content).ok().ok_or(BodyFault::NothingLeft)?;
    Ok((form::flatten(&tree), dropped))
}

fn judge_json<H: Hooks>(
    codings: Codings,
    body: Bytes,
    terms: &Terms<'_>,
    hooks: H,
    look: impl FnOnce(&json::Report),
) -> Result<(Bytes, Vec<String>), BodyFault> {
    let mode = match terms.unwritable {
        Unwritable::Refuse => Mode::Refuse,
        Unwritable::Drop => Mode::Trim,
    };
    let (plan, most) = (Arc::clone(terms.plan), terms.most_bytes);
    let mut guard = BodyGuard::request(codings, plan, terms.caps, most, mode, hooks);
    let judged = guard.push(body).and_then(|()| guard.finish());
    let report = guard.report();
    look(report);
    judged?;
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
        assert_eq!(check("application/json", &both), Ok(BodyForm::Json));
        let form = "Application/X-WWW-Form-URLencoded; charset=UTF-8";
        assert_eq!(check(form, &both), Ok(BodyForm::Form));
        assert_eq!(check(form, &[BodyForm::Form]), Ok(BodyForm::Form));
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
