//! A path as a route publishes it: `/api/customers/{id}`.

use super::path::{Path, PathError};

/// Why a template was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Its literal segments are no path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A parameter is not `{name}` alone in its segment.
    #[error("`{0}` must be a parameter such as `{{id}}`, alone in its segment")]
    Parameter(String),
    /// Two parameters have one name.
    #[error("the parameter `{0}` stands twice in the path")]
    Repeated(String),
    /// A literal is not written in its canonical form.
    #[error("write the path as `{0}`")]
    NotCanonical(String),
}

/// One segment of a template.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Segment {
    /// Matches itself, decoded.
    Literal(Box<str>),
    /// Matches any one segment.
    Parameter(Box<str>),
}

/// A path with parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub(super) segments: Vec<Segment>,
    pub(super) trailing_slash: bool,
    text: Box<str>,
}

impl Template {
    /// Reads `/literal/{parameter}/…`.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut segments = Vec::new();
        let mut literal = String::new();
        for raw in text.strip_prefix('/').ok_or(PathError::NotAbsolute)?.split('/') {
            // Parameters become a plain word, so that one reader checks the whole path.
            literal.push('/');
            if raw.contains(['{', '}']) {
                segments.push(Some(parameter(raw)?));
                literal.push('p');
            } else {
                segments.push(None);
                literal.push_str(raw);
            }
        }
        let path = Path::parse(&literal)?;
        if path.as_str() != literal {
            return Err(TemplateError::NotCanonical(path.as_str().to_owned()));
        }
        let segments = path.segments().iter().zip(segments).map(|(literal, parameter)| {
            parameter.map_or_else(|| Segment::Literal(literal.as_str().into()), Segment::Parameter)
        });
        let template = Self {
            segments: segments.collect(),
            trailing_slash: path.has_trailing_slash(),
            text: text.into(),
        };
        template.check_names()?;
        Ok(template)
    }

    /// The template as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names of the parameters, in the path's order.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Parameter(name) => Some(name.as_ref()),
            Segment::Literal(_) => None,
        })
    }

    /// The path with the parameters filled in, in canonical form; `None` if one is missing or is
    /// no segment.
    #[must_use]
    pub fn fill(&self, parameters: &[(String, String)]) -> Option<Path> {
        let mut raw = String::new();
        for segment in &self.segments {
            let value = match segment {
                Segment::Literal(literal) => literal.as_ref(),
                Segment::Parameter(name) => {
                    parameters.iter().find(|(n, _)| n == name.as_ref())?.1.as_str()
                }
            };
            if value.is_empty() {
                return None;
            }
            raw.push('/');
            raw.extend(percent_encoding::utf8_percent_encode(
                value,
                percent_encoding::NON_ALPHANUMERIC,
            ));
        }
        if self.trailing_slash || raw.is_empty() {
            raw.push('/');
        }
        Path::parse(&raw).ok()
    }

    fn check_names(&self) -> Result<(), TemplateError> {
        let mut seen = Vec::new();
        for name in self.parameters() {
            if seen.contains(&name) {
                return Err(TemplateError::Repeated(name.to_owned()));
            }
            seen.push(name);
        }
        Ok(())
    }
}

fn parameter(raw: &str) -> Result<Box<str>, TemplateError> {
    let name = raw.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or("");
    let fits = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if fits { Ok(name.into()) } else { Err(TemplateError::Parameter(raw.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_names_its_parameters() {
        let template = Template::parse("/api/customers/{id}/orders/{order_id}").unwrap();
        assert_eq!(template.parameters().collect::<Vec<_>>(), ["id", "order_id"]);
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for text in ["", "a", "/a//b", "/../b", "/a{id}", "/{}", "/{id", "/{1}", "/{a}/{a}", "/%61"]
        {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn filling_in_a_parameter_cannot_change_the_path() {
        let template = Template::parse("/customers/{id}").unwrap();
        let fill = |value: &str| template.fill(&[("id".to_owned(), value.to_owned())]);
        assert_eq!(fill("4 2").unwrap().as_str(), "/customers/4%202");
        assert_eq!(fill("..").map(|_| ()), None);
        assert_eq!(fill("a/b").map(|_| ()), None);
        assert_eq!(fill("").map(|_| ()), None);
        assert_eq!(template.fill(&[]).map(|_| ()), None);
    }
}
