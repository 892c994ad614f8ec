//! Faults and warnings in files: a stable code, a place, the offending text underlined, and
//! what would be right.

use std::fmt;

use super::source::{Source, Span};

/// The stable name of a kind of fault or warning, for scripts and documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// The file is not YAML.
    Yaml,
    /// The file is too long, too deep or has too many parts.
    TooLarge,
    /// An anchor, alias or tag.
    Indirection,
    /// A key stands twice in one map.
    RepeatedKey,
    /// A key that means nothing here.
    UnknownKey,
    /// A map where a list was expected, and the like.
    WrongShape,
    /// A key that must be there is missing.
    MissingKey,
    /// A name is defined twice.
    DefinedTwice,
    /// A name that nothing defines.
    UnknownName,
    /// A value that is not among those accepted.
    WrongValue,
    /// A rule, query or condition names a sealed field.
    Sealed,
    /// An entity stands inside itself, or a role includes itself.
    Ring,
    /// A route's host or path cannot be published.
    WrongPath,
    /// Two routes answer one request.
    Ambiguous,
    /// Two things stand at one place of a body, or a record's parts are passed around its rules.
    BodyConflict,
    /// `reads` names a route that cannot fetch the record.
    WrongReads,
    /// A row condition where no record is read.
    NoRecord,
    /// A condition is not well formed.
    ConditionSyntax,
    /// A condition compares what cannot be compared.
    ConditionType,
    /// Keys of a rule that do not go together.
    Contradiction,
    /// A rule that matches no route.
    DeadRule,
    /// A limit above what any policy may give.
    AboveCap,
    /// An action of a rule that matches no route (warning).
    DeadAction,
    /// A route that no allow rule opens (warning).
    ClosedRoute,
    /// A field that nobody may see (warning).
    UnseenField,
    /// A count that is withheld wherever rows are filtered (warning).
    BetrayingCount,
    /// More row conditions on one entity than one decision can hold (warning).
    ManyConditions,
    /// A role that no rule or limit names (warning).
    IdleRole,
    /// A parameter of a path that is named like a graded field and is not said to search it (warning).
    UndeclaredSearch,
    /// Fields that nobody has graded yet (warning).
    UngradedFields,
    /// A rule that gives or takes nothing that another one does not (warning).
    ShadowedRule,
    /// A condition, or a part of one, that does not vary (warning).
    ConstantCondition,
    /// A role that is limited and may do nothing (warning).
    PowerlessRole,
    /// A grade below the one that the field's kind usually has (warning).
    WeakGrade,
    /// Records of people who are not counted (warning).
    NoSubject,
    /// An external role that sees high grades in clear (warning).
    ExternalSight,
    /// An external role whose people are not counted (warning).
    ExternalUncounted,
    /// A rule that shows personal fields to every caller (warning).
    OpenToAny,
    /// An export that nothing limits (warning).
    UnlimitedExport,
    /// A limit on what nobody can do (warning).
    IdleLimit,
    /// A record that has a tenant and is not read before it is changed (warning).
    TenantUnread,
    /// Partners that are told apart and of which none has to be registered (warning).
    UnregisteredPartners,
    /// Grade 4 that one person alone may open for another (warning).
    LoneUnlock,
    /// What takes two persons, where one alone may say that it does not (warning).
    LooseWords,
}

impl Code {
    /// The code as printed: `P…` for faults, `W…` for warnings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yaml => "P001",
            Self::TooLarge => "P002",
            Self::Indirection => "P003",
            Self::RepeatedKey => "P004",
            Self::UnknownKey => "P005",
            Self::WrongShape => "P006",
            Self::MissingKey => "P007",
            Self::DefinedTwice => "P008",
            Self::UnknownName => "P009",
            Self::WrongValue => "P010",
            Self::Sealed => "P011",
            Self::Ring => "P012",
            Self::WrongPath => "P013",
            Self::Ambiguous => "P014",
            Self::BodyConflict => "P015",
            Self::WrongReads => "P016",
            Self::NoRecord => "P017",
            Self::ConditionSyntax => "P018",
            Self::ConditionType => "P019",
            Self::Contradiction => "P020",
            Self::DeadRule => "P021",
            Self::AboveCap => "P022",
            Self::DeadAction => "W001",
            Self::ClosedRoute => "W002",
            Self::UnseenField => "W003",
            Self::BetrayingCount => "W004",
            Self::ManyConditions => "W005",
            Self::IdleRole => "W006",
            Self::UndeclaredSearch => "W007",
            Self::UngradedFields => "W010",
            Self::ShadowedRule => "W011",
            Self::ConstantCondition => "W012",
            Self::PowerlessRole => "W013",
            Self::WeakGrade => "W014",
            Self::NoSubject => "W015",
            Self::ExternalSight => "W016",
            Self::ExternalUncounted => "W017",
            Self::OpenToAny => "W018",
            Self::UnlimitedExport => "W019",
            Self::IdleLimit => "W020",
            Self::TenantUnread => "W021",
            Self::UnregisteredPartners => "W022",
            Self::LoneUnlock => "W023",
            Self::LooseWords => "W024",
        }
    }
}

impl serde::Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One fault or warning. As JSON: `file`, `line`, `column`, `code`, `message` and `help`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Fault {
    /// The file as the source was named.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What kind it is.
    pub code: Code,
    /// What is wrong, in one line.
    pub message: String,
    /// What would be right, where that can be said.
    pub help: Option<String>,
    #[serde(skip)]
    excerpt: String,
    #[serde(skip)]
    indent: usize,
    #[serde(skip)]
    width: usize,
}

/// The longest part of a line that is shown.
const EXCERPT_LIMIT: usize = 160;

impl Fault {
    pub(crate) fn at(sources: &[Source], span: Span, code: Code, message: String) -> Self {
        let source = sources.get(span.source);
        let text = source.map_or("", |source| source.text.as_str());
        let before = text.get(..span.start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let lead = before.get(line_start..).unwrap_or("");
        let line = text.get(line_start..).unwrap_or("").lines().next().unwrap_or("");
        let marked = text.get(span.start..span.end).unwrap_or("").lines().next().unwrap_or("");
        Self {
            file: source.map_or_else(String::new, |source| source.name.clone()),
            line: before.matches('\n').count() + 1,
            column: lead.chars().count() + 1,
            code,
            message,
            help: None,
            excerpt: line.chars().take(EXCERPT_LIMIT).map(printable).collect(),
            indent: lead.chars().take(EXCERPT_LIMIT).map(columns).sum(),
            width: marked.trim_end().chars().take(EXCERPT_LIMIT).map(columns).sum(),
        }
    }
}

impl Fault {
    pub(crate) fn with_help(self, help: Option<String>) -> Self {
        Self { help, ..self }
    }
}

/// A character as it may be printed: nothing in a file may steer the reader's terminal.
pub(crate) fn printable(c: char) -> char {
    if c == '\t' {
        ' '
    } else if c.is_control() {
        char::REPLACEMENT_CHARACTER
    } else {
        c
    }
}

/// The columns of a terminal that a character takes: two for East Asian wide ones.
pub(crate) fn columns(c: char) -> usize {
    match c {
        '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' => 2,
        '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' => 2,
        _ => 1,
    }
}

/// What of a fault's text may be told apart by colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The head of a fault and the marks under its text.
    Fault,
    /// The same of a warning.
    Warning,
    /// What would be right.
    Help,
}

impl Fault {
    /// Its text, with the parts as `paint` makes them.
    pub(crate) fn painted(&self, paint: impl Fn(Part, &str) -> String) -> String {
        let code = self.code.as_str();
        let (word, part) =
            if code.starts_with('W') { ("warning", Part::Warning) } else { ("fault", Part::Fault) };
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let (indent, marks) = (" ".repeat(self.indent), "^".repeat(self.width.max(1)));
        let head = paint(part, &format!("{word}[{code}]"));
        let mut text = format!("{head}: {}\n", self.message);
        text += &format!("{gutter}--> {}:{}:{}\n", self.file, self.line, self.column);
        text += &format!("{gutter} |\n{number} | {}\n", self.excerpt);
        text += &format!("{gutter} | {indent}{}\n", paint(part, &marks));
        if let Some(help) = &self.help {
            text += &format!("{gutter} = {} {help}\n", paint(Part::Help, "help:"));
        }
        text
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.painted(|_, text| text.to_owned()))
    }
}

/// Everything wrong in a set of files, in the order of files and lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    faults: Vec<Fault>,
    place: &'static str,
}

impl Faults {
    /// The faults of `place`, such as the policy, in the order of files and lines.
    pub(crate) fn new(mut faults: Vec<Fault>, place: &'static str) -> Self {
        faults.sort();
        Self { faults, place }
    }

    /// How many there are, and in what.
    pub(crate) fn count(&self) -> String {
        let count = self.faults.len();
        let noun = if count == 1 { "fault" } else { "faults" };
        format!("{count} {noun} in the {}", self.place)
    }

    /// Each fault.
    #[must_use]
    pub fn as_slice(&self) -> &[Fault] {
        &self.faults
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.faults {
            writeln!(f, "{fault}")?;
        }
        f.write_str(&self.count())
    }
}

impl std::error::Error for Faults {}
