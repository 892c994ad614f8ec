//! Words to a checked condition: names against the catalogue, types against each other.

use std::sync::Arc;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::super::consent::{ConsentKind, Demand};
use super::super::model::{Flag, Purpose};
use super::super::value::Value;
use super::constant::{Constant, certainty};
use super::hours::Week;
use super::lexer::{Lexeme, Token, words};
use super::{Comparison, Condition, ConsentTest, Expression, MarkTest, Subject, TextTest};
use crate::document::Code;
use crate::document::Span;
use crate::document::accepted;

const TEXT_LIMIT_BYTES: usize = 2048;
const DEPTH_LIMIT: usize = 32;
const LIST_LIMIT: usize = 256;
/// With what an operand can begin, besides values.
const NAMES: [&str; 20] = [
    "caller",
    "request",
    "record",
    "flag",
    "grant",
    "time",
    "age",
    "days_since",
    "days_until",
    "starts_with",
    "ends_with",
    "contains",
    "lower",
    "size",
    "in_cidr",
    "consented",
    "marked",
    "true",
    "false",
    "null",
];

/// Finds a field of the record by its path, or says with a code, a message and a help why not.
pub(in crate::policy) type FindField<'a> = dyn Fn(&str) -> Result<u16, (Code, String, String)> + 'a;

/// What a condition may name.
pub(in crate::policy) struct Scope<'a> {
    /// Finds a field of the record; `Err` says why not. `None` where there is no record.
    pub(in crate::policy) record: Option<&'a FindField<'a>>,
    /// The parameters of published paths.
    pub(in crate::policy) parameters: &'a [&'a str],
    /// The flags of the record's entity.
    pub(in crate::policy) flags: &'a [Flag],
    /// What it may look at.
    pub(in crate::policy) view: View,
    /// What it may ask of whom a record is about.
    pub(in crate::policy) people: People<'a>,
}

/// What may be asked of whom a record is about.
#[derive(Clone, Copy, Default)]
pub(in crate::policy) struct People<'a> {
    /// Whom the record is about; `None` where that is not known.
    pub(in crate::policy) subject: Option<&'a Subject>,
    /// The purposes of the policy.
    pub(in crate::policy) purposes: &'a [Purpose],
}

/// What a condition may look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum View {
    /// Caller, request, grant, time and, where there is one, record.
    All,
    /// The record and the time: a flag says something of the record, whoever asks.
    Record,
}

/// What is wrong in a condition, and where, in bytes of its text.
#[derive(Debug)]
pub(in crate::policy) struct ExpressionFault {
    pub(in crate::policy) start: usize,
    pub(in crate::policy) length: usize,
    pub(in crate::policy) code: Code,
    pub(in crate::policy) message: String,
    pub(in crate::policy) help: Option<String>,
}

impl ExpressionFault {
    pub(super) fn syntax(start: usize, length: usize, message: String) -> Self {
        Self { start, length, code: Code::ConditionSyntax, message, help: None }
    }
}

/// What is known of a value before any is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Any,
    Null,
    Bool,
    Number,
    Text,
    List,
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Self::Any => "a value",
            Self::Null => "null",
            Self::Bool => "true or false",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::List => "a list",
        }
    }
}

type Parsed = Result<(Expression, Type), ExpressionFault>;

/// Reads and checks a condition.
pub(in crate::policy) fn parse(
    text: &str,
    scope: &Scope<'_>,
) -> Result<Condition, ExpressionFault> {
    if text.len() > TEXT_LIMIT_BYTES {
        let message = format!("a condition must be at most {TEXT_LIMIT_BYTES} bytes");
        return Err(ExpressionFault::syntax(0, 1, message));
    }
    let lexemes = words(text)?;
    let mut parser = Parser {
        lexemes,
        next: 0,
        depth: 0,
        scope,
        fields: Vec::new(),
        constants: Vec::new(),
        end: text.len(),
    };
    let start = parser.here();
    let (expression, found) = parser.either()?;
    if parser.next < parser.lexemes.len() {
        return Err(parser.unexpected("the end, `&&` or `||`"));
    }
    parser.want(Type::Bool, found, start)?;
    parser.note_if_constant(&expression, start, parser.before(), true);
    let Parser { fields, constants, .. } = parser;
    Ok(Condition { text: text.trim().into(), expression, fields, constants })
}

struct Parser<'a> {
    lexemes: Vec<Lexeme>,
    next: usize,
    depth: usize,
    scope: &'a Scope<'a>,
    fields: Vec<u16>,
    constants: Vec<Constant>,
    end: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.lexemes.get(self.next).map(|lexeme| &lexeme.token)
    }

    fn here(&self) -> usize {
        self.lexemes.get(self.next).map_or(self.end, |lexeme| lexeme.start)
    }

    fn before(&self) -> usize {
        let last = self.next.checked_sub(1).and_then(|last| self.lexemes.get(last));
        last.map_or(0, |lexeme| lexeme.end)
    }

    fn take(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.next += usize::from(token.is_some());
        token
    }

    fn eat(&mut self, mark: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Mark(m)) if *m == mark);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, mark: &str) -> Result<(), ExpressionFault> {
        if self.eat(mark) { Ok(()) } else { Err(self.unexpected(&format!("`{mark}`"))) }
    }

    fn unexpected(&self, wanted: &str) -> ExpressionFault {
        let lexeme = self.lexemes.get(self.next);
        let length = lexeme.map_or(1, |lexeme| lexeme.end - lexeme.start);
        ExpressionFault::syntax(self.here(), length, format!("expected {wanted} here"))
    }

    fn fault(&self, start: usize, code: Code, message: String, help: String) -> ExpressionFault {
        let length = self.before().saturating_sub(start);
        ExpressionFault { start, length, code, message, help: Some(help) }
    }

    fn want(&self, wanted: Type, found: Type, start: usize) -> Result<(), ExpressionFault> {
        if found == wanted || found == Type::Any {
            return Ok(());
        }
        let message = format!("this is {}, where {} is needed", found.name(), wanted.name());
        Err(self.fault(
            start,
            Code::ConditionType,
            message,
            "compare it with `==`, `<` or `in`".to_owned(),
        ))
    }

    fn descend(&mut self) -> Result<(), ExpressionFault> {
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            let message = format!("a condition must nest at most {DEPTH_LIMIT} deep");
            return Err(ExpressionFault::syntax(self.here(), 1, message));
        }
        Ok(())
    }

    fn either(&mut self) -> Parsed {
        self.descend()?;
        let parsed = self.chain("||", Self::both, Expression::Or);
        self.depth -= 1;
        parsed
    }

    fn both(&mut self) -> Parsed {
        self.chain("&&", Self::negation, Expression::And)
    }

    fn chain(
        &mut self,
        mark: &str,
        inner: fn(&mut Self) -> Parsed,
        join: fn(Box<Expression>, Box<Expression>) -> Expression,
    ) -> Parsed {
        let start = self.here();
        let mut left = inner(self)?;
        let end = self.before();
        let mut joined = 0;
        while self.eat(mark) {
            self.want(Type::Bool, left.1, start)?;
            if joined == 0 {
                self.note_if_constant(&left.0, start, end, false);
            }
            let start = self.here();
            let right = inner(self)?;
            self.want(Type::Bool, right.1, start)?;
            self.note_if_constant(&right.0, start, self.before(), false);
            left = (join(Box::new(left.0), Box::new(right.0)), Type::Bool);
            joined += 1;
            if joined > LIST_LIMIT {
                let message = format!("at most {LIST_LIMIT} parts may be joined");
                return Err(ExpressionFault::syntax(start, 1, message));
            }
        }
        Ok(left)
    }

    /// Notes what does not vary, in place of its parts.
    fn note_if_constant(&mut self, part: &Expression, start: usize, end: usize, is_whole: bool) {
        let Some(certainty) = certainty(part) else { return };
        self.constants.retain(|inner| inner.span.start < start || inner.span.end > end);
        let span = Span { source: 0, start, end };
        self.constants.push(Constant { certainty, is_whole, span });
    }

    fn negation(&mut self) -> Parsed {
        let mut negated = false;
        while self.eat("!") {
            negated = !negated;
            if self.eat("!") {
                return Err(self.unexpected("one `!`"));
            }
        }
        let start = self.here();
        let inner = self.comparison()?;
        if !negated {
            return Ok(inner);
        }
        self.want(Type::Bool, inner.1, start)?;
        Ok((Expression::Not(Box::new(inner.0)), Type::Bool))
    }

    fn comparison(&mut self) -> Parsed {
        let start = self.here();
        let left = self.operand()?;
        if matches!(self.peek(), Some(Token::Name(name)) if name == "in") {
            self.next += 1;
            return self.membership(left, start);
        }
        let Some(comparison) = self.comparison_mark() else { return Ok(left) };
        self.next += 1;
        let right = self.operand()?;
        self.check_comparable(comparison, left.1, right.1, start)?;
        if self.comparison_mark().is_some() {
            return Err(self.unexpected("`&&` or `||`, not a second comparison,"));
        }
        Ok((Expression::Compare(comparison, Box::new(left.0), Box::new(right.0)), Type::Bool))
    }

    fn comparison_mark(&self) -> Option<Comparison> {
        let Some(Token::Mark(mark)) = self.peek() else { return None };
        match *mark {
            "==" => Some(Comparison::Equal),
            "!=" => Some(Comparison::NotEqual),
            "<" => Some(Comparison::Less),
            "<=" => Some(Comparison::LessOrEqual),
            ">" => Some(Comparison::Greater),
            ">=" => Some(Comparison::GreaterOrEqual),
            _ => None,
        }
    }

    fn check_comparable(
        &self,
        comparison: Comparison,
        left: Type,
        right: Type,
        start: usize,
    ) -> Result<(), ExpressionFault> {
        let equality = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        let ordered = |t| matches!(t, Type::Any | Type::Number | Type::Text);
        let alike = left == right
            || left == Type::Any
            || right == Type::Any
            || (equality && (left == Type::Null || right == Type::Null));
        let lists = left == Type::List || right == Type::List;
        if alike && !lists && (equality || (ordered(left) && ordered(right))) {
            return Ok(());
        }
        let message = format!("{} and {} cannot be compared so", left.name(), right.name());
        let help = if lists {
            "use `in` to look for a value in a list"
        } else {
            "compare values of one type; text stands in quotes, numbers and `true` do not"
        };
        Err(self.fault(start, Code::ConditionType, message, help.to_owned()))
    }

    fn membership(&mut self, left: (Expression, Type), start: usize) -> Parsed {
        if let Some(range) = self.range()? {
            self.want(Type::Number, left.1, start)?;
            return Ok((Expression::InRange(Box::new(left.0), range.0, range.1), Type::Bool));
        }
        let right_start = self.here();
        let right = self.operand()?;
        self.want(Type::List, right.1, right_start)?;
        Ok((Expression::In(Box::new(left.0), Box::new(right.0)), Type::Bool))
    }

    fn range(&mut self) -> Result<Option<(i64, i64)>, ExpressionFault> {
        let start = self.here();
        let Some(Token::Integer(first)) = self.peek() else { return Ok(None) };
        let first = *first;
        self.next += 1;
        self.expect("..")?;
        let Some(Token::Integer(last)) = self.take() else {
            self.next = self.next.saturating_sub(1);
            return Err(self.unexpected("a whole number"));
        };
        if first < last {
            return Ok(Some((first, last)));
        }
        let message = "the range is empty".to_owned();
        let help = "`8..20` runs from 8 up to but not including 20".to_owned();
        Err(self.fault(start, Code::ConditionType, message, help))
    }

    fn operand(&mut self) -> Parsed {
        let start = self.here();
        match self.take() {
            Some(Token::Integer(n)) => Ok((Expression::Literal(Value::Integer(n)), Type::Number)),
            Some(Token::Decimal(n)) => Ok((Expression::Literal(n), Type::Number)),
            Some(Token::Text(text)) => Ok((Expression::Literal(Value::Text(text)), Type::Text)),
            Some(Token::Mark("(")) => {
                let inner = self.either()?;
                self.expect(")")?;
                Ok(inner)
            }
            Some(Token::Mark("[")) => self.list(),
            Some(Token::Name(name)) => self.named(&name, start),
            Some(Token::Mark(_)) | None => {
                self.next = self.lexemes.iter().position(|l| l.start >= start).unwrap_or(self.next);
                Err(self.unexpected("a value"))
            }
        }
    }

    fn list(&mut self) -> Parsed {
        let mut items = Vec::new();
        while !self.eat("]") {
            if !items.is_empty() {
                self.expect(",")?;
            }
            let start = self.here();
            let literal = match self.take() {
                Some(Token::Text(text)) => Value::Text(text),
                Some(Token::Integer(n)) => Value::Integer(n),
                Some(Token::Decimal(n)) => n,
                Some(Token::Name(_) | Token::Mark(_)) | None => {
                    let message = "expected a text or a number in the list".to_owned();
                    return Err(ExpressionFault::syntax(start, 1, message));
                }
            };
            items.push(Expression::Literal(literal));
            if items.len() > LIST_LIMIT {
                let message = format!("a list must have at most {LIST_LIMIT} values");
                return Err(ExpressionFault::syntax(start, 1, message));
            }
        }
        Ok((Expression::List(items), Type::List))
    }

    fn named(&mut self, name: &str, start: usize) -> Parsed {
        if self.scope.view == View::Record && ["caller", "request", "grant", "flag"].contains(&name)
        {
            let message = format!("a flag does not look at `{name}`");
            let help = "it says something of the record, whoever asks: name fields of `record`";
            return Err(self.fault(start, Code::WrongValue, message, help.to_owned()));
        }
        match name {
            "true" => Ok((Expression::Literal(Value::Bool(true)), Type::Bool)),
            "false" => Ok((Expression::Literal(Value::Bool(false)), Type::Bool)),
            "null" => Ok((Expression::Literal(Value::Null), Type::Null)),
            "caller" => self.caller(),
            "request" => self.request(start),
            "record" => self.record(start),
            "time" => self.time(start),
            "flag" => self.flag(start),
            "grant" => Ok((Expression::Grant(self.member()?.into()), Type::Any)),
            "age" => self.on_a_day(Expression::Age),
            "days_since" => self.on_a_day(Expression::DaysSince),
            "days_until" => self.on_a_day(Expression::DaysUntil),
            "starts_with" => self.text_test(TextTest::StartsWith),
            "ends_with" => self.text_test(TextTest::EndsWith),
            "contains" => self.text_test(TextTest::Contains),
            "lower" => self.lower(),
            "size" => self.size(),
            "in_cidr" => self.in_cidr(),
            "consented" => self.consented(start),
            "marked" => self.marked(start),
            _ => {
                let help = accepted(name, &NAMES);
                Err(self.fault(
                    start,
                    Code::ConditionSyntax,
                    format!("unknown name `{name}`"),
                    help,
                ))
            }
        }
    }

    fn member(&mut self) -> Result<String, ExpressionFault> {
        self.expect(".")?;
        match self.take() {
            Some(Token::Name(name)) => Ok(name),
            Some(_) => {
                self.next = self.next.saturating_sub(1);
                Err(self.unexpected("a name"))
            }
            None => Err(self.unexpected("a name")),
        }
    }

    fn caller(&mut self) -> Parsed {
        let name = self.member()?;
        Ok(match name.as_str() {
            "zone" => (Expression::Zone, Type::Text),
            "account" => (Expression::Account, Type::Text),
            "assurance" => (Expression::Assurance, Type::Number),
            "address" => (Expression::Address, Type::Text),
            "roles" => (Expression::Roles, Type::List),
            "device" => (Expression::Device, Type::Text),
            _ => (Expression::Attribute(name.into()), Type::Any),
        })
    }

    fn request(&mut self, start: usize) -> Parsed {
        let name = self.member()?;
        match name.as_str() {
            "method" => return Ok((Expression::Method, Type::Text)),
            "host" => return Ok((Expression::Host, Type::Text)),
            "purpose" => return Ok((Expression::Purpose, Type::Text)),
            "ticket" => return Ok((Expression::Ticket, Type::Text)),
            _ => {}
        }
        if self.scope.parameters.contains(&name.as_str()) {
            return Ok((Expression::Parameter(name.into()), Type::Text));
        }
        let mut known = vec!["method", "host", "purpose", "ticket"];
        known.extend(self.scope.parameters);
        let help = accepted(&name, &known);
        let message = format!("no route this rule matches has a path parameter `{name}`");
        Err(self.fault(start, Code::UnknownName, message, help))
    }

    fn record(&mut self, start: usize) -> Parsed {
        let mut path = self.member()?;
        while matches!(self.peek(), Some(Token::Mark("." | "["))) {
            if self.eat("[") {
                self.expect("]")?;
                path.push_str("[]");
            } else {
                path.push('.');
                path.push_str(&self.member()?);
            }
        }
        let Some(find) = self.scope.record else {
            let message = "there is no record here".to_owned();
            let help = "conditions on `record` belong in `where`, of a rule with `of`".to_owned();
            return Err(self.fault(start, Code::NoRecord, message, help));
        };
        let field =
            find(&path).map_err(|(code, message, help)| self.fault(start, code, message, help))?;
        self.reads(field);
        Ok((Expression::Record(field), Type::Any))
    }

    fn reads(&mut self, field: u16) {
        if !self.fields.contains(&field) {
            self.fields.push(field);
        }
    }

    fn flag(&mut self, start: usize) -> Parsed {
        let name = self.member()?;
        if self.scope.record.is_none() {
            let message = "there is no record here".to_owned();
            let help = "conditions on `flag` belong in `where`, of a rule with `of`".to_owned();
            return Err(self.fault(start, Code::NoRecord, message, help));
        }
        let Some(flag) = self.scope.flags.iter().find(|flag| *flag.name == *name) else {
            let known: Vec<&str> = self.scope.flags.iter().map(|flag| flag.name.as_ref()).collect();
            let help = accepted(&name, &known);
            let message = format!("the entity has no flag `{name}`");
            return Err(self.fault(start, Code::UnknownName, message, help));
        };
        flag.condition.fields.iter().for_each(|field| self.reads(*field));
        Ok((Expression::Flag(Arc::clone(&flag.condition)), Type::Bool))
    }

    fn time(&mut self, start: usize) -> Parsed {
        let name = self.member()?;
        match name.as_str() {
            "hour" => {
                self.expect("(")?;
                let zone = self.time_zone()?;
                self.expect(")")?;
                Ok((Expression::Hour(zone), Type::Number))
            }
            "within" => {
                self.expect("(")?;
                let week = self.week()?;
                self.expect(",")?;
                let zone = self.time_zone()?;
                self.expect(")")?;
                Ok((Expression::Within(week, zone), Type::Bool))
            }
            _ => {
                let help = accepted(&name, &["hour", "within"]);
                Err(self.fault(
                    start,
                    Code::ConditionSyntax,
                    format!("unknown name `time.{name}`"),
                    help,
                ))
            }
        }
    }

    fn text(&mut self, what: &str) -> Result<(String, usize), ExpressionFault> {
        let start = self.here();
        let Some(Token::Text(text)) = self.peek().cloned() else {
            return Err(self.unexpected(what));
        };
        self.next += 1;
        Ok((text, start))
    }

    fn week(&mut self) -> Result<Week, ExpressionFault> {
        let (text, start) = self.text("hours such as 'Mon-Fri 08:00-20:00'")?;
        Week::parse(&text).ok_or_else(|| {
            let help = "write hours such as 'Mon-Fri 08:00-20:00, Sat 09:00-12:00'".to_owned();
            self.fault(start, Code::WrongValue, format!("`{text}` is no span of hours"), help)
        })
    }

    /// Only the zones that are compiled in: the answer must not depend on the machine.
    fn time_zone(&mut self) -> Result<TimeZone, ExpressionFault> {
        let (name, start) = self.text("a time zone such as 'Asia/Shanghai'")?;
        TimeZoneDatabase::bundled().get(&name).ok().ok_or_else(|| {
            let help = "write an IANA name such as 'Asia/Shanghai' or 'UTC'".to_owned();
            self.fault(start, Code::WrongValue, format!("`{name}` is no time zone"), help)
        })
    }

    /// A function of a day and, if one is given, a time zone.
    fn on_a_day(&mut self, make: fn(Box<Expression>, TimeZone) -> Expression) -> Parsed {
        self.expect("(")?;
        let day = self.text_argument()?;
        let zone = if self.eat(",") { self.time_zone()? } else { TimeZone::UTC };
        self.expect(")")?;
        Ok((make(Box::new(day), zone), Type::Number))
    }

    fn text_test(&mut self, test: TextTest) -> Parsed {
        self.expect("(")?;
        let text = self.text_argument()?;
        self.expect(",")?;
        let part = self.text_argument()?;
        self.expect(")")?;
        Ok((Expression::Text(test, Box::new(text), Box::new(part)), Type::Bool))
    }

    fn lower(&mut self) -> Parsed {
        self.expect("(")?;
        let text = self.text_argument()?;
        self.expect(")")?;
        Ok((Expression::Lower(Box::new(text)), Type::Text))
    }

    fn size(&mut self) -> Parsed {
        self.expect("(")?;
        let start = self.here();
        let (value, found) = self.argument()?;
        if !matches!(found, Type::Any | Type::List) {
            self.want(Type::Text, found, start)?;
        }
        self.expect(")")?;
        Ok((Expression::Size(Box::new(value)), Type::Number))
    }

    /// `consented('marketing', 'explicit', 'guardian', 3)`: the purpose, the kinds that count and the oldest notice.
    fn consented(&mut self, start: usize) -> Parsed {
        let subject = self.subject(start, "consented")?;
        self.expect("(")?;
        let (purpose, at) = self.text("a purpose such as 'marketing'")?;
        let known = self.scope.people.purposes;
        if !known.iter().any(|known| *known.name == *purpose) {
            let known: Vec<&str> = known.iter().map(|known| known.name.as_ref()).collect();
            let message = format!("`{purpose}` is no purpose of the policy");
            return Err(self.fault(at, Code::UnknownName, message, accepted(&purpose, &known)));
        }
        let mut demand = Demand::spoken();
        let mut kinds = Vec::new();
        while self.eat(",") {
            if let Some(&Token::Integer(notice)) = self.peek() {
                let notice = u16::try_from(notice).ok().filter(|notice| *notice > 0);
                demand.notice =
                    notice.ok_or_else(|| self.unexpected("a notice from 1 to 65535"))?;
                self.next += 1;
                break;
            }
            kinds.push(self.consent_kind()?);
        }
        if !kinds.is_empty() {
            kinds.sort_unstable();
            kinds.dedup();
            demand.kinds = kinds;
        }
        self.expect(")")?;
        let test = ConsentTest { subject, purpose: purpose.into(), demand };
        Ok((Expression::Consented(Box::new(test)), Type::Bool))
    }

    /// Silence is never named in a condition, so that none opens anything by it.
    fn consent_kind(&mut self) -> Result<ConsentKind, ExpressionFault> {
        let (word, start) = self.text("a kind of consent such as 'explicit', or a notice")?;
        let kind = ConsentKind::named(&word).filter(|kind| *kind != ConsentKind::Deemed);
        kind.ok_or_else(|| {
            let message = format!("`{word}` is no kind of consent that a condition may ask for");
            let help = accepted(&word, &["explicit", "separate", "guardian"]);
            self.fault(start, Code::UnknownName, message, help)
        })
    }

    /// `marked('do-not-disclose')`.
    fn marked(&mut self, start: usize) -> Parsed {
        let subject = self.subject(start, "marked")?;
        self.expect("(")?;
        let (mark, at) = self.text("a mark such as 'do-not-disclose'")?;
        let is_of_name = |c: char| c.is_alphanumeric() || "._-".contains(c);
        if !(1..=128).contains(&mark.len()) || !mark.chars().all(is_of_name) {
            let help = "use letters, digits, `.`, `_` and `-`, at most 128 bytes".to_owned();
            return Err(self.fault(at, Code::WrongValue, format!("`{mark}` is no mark"), help));
        }
        self.expect(")")?;
        let test = MarkTest { subject, mark: mark.into() };
        Ok((Expression::Marked(Box::new(test)), Type::Bool))
    }

    /// Whom the record is about, whose key is read for it.
    fn subject(&mut self, start: usize, asks: &str) -> Result<Subject, ExpressionFault> {
        let Some(subject) = self.scope.people.subject.filter(|_| self.scope.record.is_some())
        else {
            let message =
                format!("`{asks}` asks of whom a record is about, and none is known here");
            let help = "give the entity a `subject`; in a rule, ask in `where`".to_owned();
            return Err(self.fault(start, Code::NoRecord, message, help));
        };
        let subject = subject.clone();
        self.reads(subject.field);
        Ok(subject)
    }

    fn text_argument(&mut self) -> Result<Expression, ExpressionFault> {
        let start = self.here();
        let (argument, found) = self.argument()?;
        self.want(Type::Text, found, start)?;
        Ok(argument)
    }

    /// An operand one level deeper, since functions nest as brackets do.
    fn argument(&mut self) -> Parsed {
        self.descend()?;
        let parsed = self.operand();
        self.depth -= 1;
        parsed
    }

    fn in_cidr(&mut self) -> Parsed {
        self.expect("(")?;
        let address = self.text_argument()?;
        self.expect(",")?;
        let (text, start) = self.text("a network such as '10.0.0.0/8'")?;
        let network = text.parse().ok().ok_or_else(|| {
            let help = "write a network such as '10.0.0.0/8' or 'fd00::/8'".to_owned();
            self.fault(start, Code::WrongValue, format!("`{text}` is no network"), help)
        })?;
        self.expect(")")?;
        Ok((Expression::InCidr(Box::new(address), network), Type::Bool))
    }
}
