//! Operations to routes: what each does, where records stand in its bodies, what its parameters mean.

use std::collections::{HashMap, HashSet};

use super::catalogue::Catalogue;
use super::description::{Description, get, items, pairs, text};
use super::guess;
use super::shape::{Member, Shape};
use crate::document::{Node, one_line};
use crate::route::Template;

/// What could be published, and what not.
#[derive(Debug, Default)]
pub(super) struct Routes {
    pub(super) published: Vec<Route>,
    /// Place and reason.
    pub(super) left_out: Vec<(String, String)>,
    names: HashSet<String>,
    /// Which route answers a method and a path.
    requests: HashMap<(&'static str, String), String>,
}

/// A route of the file that is made.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) name: String,
    pub(super) method: &'static str,
    pub(super) host: String,
    pub(super) path: String,
    pub(super) action: &'static str,
    /// Parameter and meaning.
    pub(super) query: Vec<(String, String)>,
    /// Entity and place.
    pub(super) accepts: Option<(usize, String)>,
    pub(super) returns: Option<(usize, String)>,
    pub(super) reads: Option<String>,
    /// The entities of its bodies.
    pub(super) entities: Vec<usize>,
    /// What was noticed.
    pub(super) notes: Vec<String>,
}

const METHODS: [(&str, &str); 5] =
    [("get", "GET"), ("post", "POST"), ("put", "PUT"), ("patch", "PATCH"), ("delete", "DELETE")];

/// Every operation that a policy can publish.
pub(super) fn routes<'d>(
    description: &'d Description<'d>,
    catalogue: &mut Catalogue<'d>,
) -> Routes {
    let mut found = Routes::default();
    for pair in description.paths() {
        let place = shown(&pair.key);
        let Some(item) = description.resolve(&pair.value, "pathItems") else {
            found.left_out.push((place, "stands in another document".to_owned()));
            continue;
        };
        for (key, method) in METHODS {
            let Some(operation) = get(item, key) else { continue };
            let place = format!("{method} {place}");
            let mut operation = Operation {
                description,
                catalogue,
                item,
                node: operation,
                method,
                path: &pair.key,
            };
            match operation.route() {
                Ok(route) => found.add(route, &place),
                Err(reason) => found.left_out.push((place, reason)),
            }
        }
        for key in ["head", "options", "trace"].iter().filter(|key| get(item, key).is_some()) {
            let place = format!("{} {place}", key.to_uppercase());
            found.left_out.push((place, "the method cannot be published".to_owned()));
        }
    }
    find_reads(&mut found.published);
    found
}

impl Routes {
    fn add(&mut self, mut route: Route, place: &str) {
        const ROUTE_LIMIT: usize = 5000;
        let mut leave_out = |reason| self.left_out.push((place.to_owned(), reason));
        if self.published.len() >= ROUTE_LIMIT {
            return leave_out(format!("more than {ROUTE_LIMIT} routes"));
        }
        let request = (route.method, any_parameter(&route.path));
        if let Some(other) = self.requests.get(&request) {
            return leave_out(format!("one request could meet it and `{other}`"));
        }
        let wanted = route.name.clone();
        let mut number = 2;
        while !self.names.insert(route.name.clone()) {
            route.name = format!("{wanted}-{number}");
            number += 1;
        }
        self.requests.insert(request, route.name.clone());
        self.published.push(route);
    }
}

/// The path with `{}` for each parameter: two such paths answer the same requests.
fn any_parameter(path: &str) -> String {
    let plain =
        |segment: &str| if segment.starts_with('{') { "{}".to_owned() } else { segment.to_owned() };
    path.split('/').map(plain).collect::<Vec<_>>().join("/")
}

struct Operation<'c, 'd> {
    description: &'d Description<'d>,
    catalogue: &'c mut Catalogue<'d>,
    item: &'d Node,
    node: &'d Node,
    method: &'static str,
    path: &'d str,
}

/// What a body was found to be.
enum Body<'d> {
    None,
    Json(&'d Node),
}

impl<'d> Operation<'_, 'd> {
    fn route(&mut self) -> Result<Route, String> {
        let path = format!("{}{}", self.description.base, plain_parameters(self.path));
        Template::parse(&path).map_err(|error| format!("the path cannot be published: {error}"))?;
        let mut notes = Vec::new();
        let accepts = match self.request(&mut notes)? {
            Body::None => None,
            Body::Json(schema) => Some(self.place(schema, "takes")?),
        };
        let returns = match self.answer()? {
            Body::None => None,
            Body::Json(schema) => Some(self.place(schema, "answers")?),
        };
        let action = self.action(accepts.is_some(), returns.as_ref());
        // What a parameter of anything else does, only a person can say: it may well change the field.
        let reads = ["view", "search"].contains(&action);
        let query = self.query(returns.as_ref().filter(|_| reads), &mut notes);
        let entities =
            [&accepts, &returns].into_iter().flatten().map(|(entity, _)| *entity).collect();
        let host = self.description.host.clone();
        let (name, method) = (self.name(), self.method);
        let reads = None;
        Ok(Route {
            name,
            method,
            host,
            path,
            action,
            query,
            accepts,
            returns,
            reads,
            entities,
            notes,
        })
    }

    fn name(&self) -> String {
        const LENGTH: usize = 100;
        let given = get(self.node, "operationId").and_then(text).unwrap_or("");
        let word = |text: &str| -> String {
            text.chars()
                .map(|c| if c.is_alphanumeric() || "._-".contains(c) { c } else { '-' })
                .take(LENGTH)
                .collect()
        };
        let name = word(given);
        let name = name.trim_matches('-');
        if !name.is_empty() && name.len() <= LENGTH {
            return name.to_owned();
        }
        let segments = self.path.split('/').map(|segment| segment.trim_matches(['{', '}']));
        let ascii = segments.filter(|segment| !segment.is_empty() && segment.is_ascii());
        let path = word(&ascii.collect::<Vec<_>>().join("-"));
        format!("{}-{path}", self.method.to_lowercase()).trim_end_matches('-').to_owned()
    }

    fn action(&self, accepts: bool, returns: Option<&(usize, String)>) -> &'static str {
        let many = returns.is_some_and(|(_, place)| place.contains("[]"));
        let last = self.path.rsplit('/').find(|s| !s.is_empty()).unwrap_or("").to_lowercase();
        let asks = ["search", "query", "find", "filter"].iter().any(|word| last.contains(word));
        match self.method {
            "GET" if many => "search",
            "GET" if returns.is_some() => "view",
            "POST" if asks && returns.is_some() => "search",
            "POST" if accepts => "create",
            "PUT" | "PATCH" => "update",
            "DELETE" => "delete",
            _ => "call",
        }
    }

    fn request(&self, notes: &mut Vec<String>) -> Result<Body<'d>, String> {
        let Some(body) = get(self.node, "requestBody") else { return Ok(Body::None) };
        if self.method == "GET" {
            notes.push("the body of a GET is not taken".to_owned());
            return Ok(Body::None);
        }
        let body = self.description.resolve(body, "requestBodies");
        let content = body.and_then(|body| get(body, "content"));
        json_of(content.ok_or("its body stands in another document")?, "takes")
    }

    /// The answer that means success: the first of 2xx, else `default`.
    fn answer(&self) -> Result<Body<'d>, String> {
        let answers = get(self.node, "responses").map_or(&[][..], pairs);
        let good = answers.iter().find(|pair| pair.key.starts_with('2'));
        let Some(pair) = good.or_else(|| answers.iter().find(|pair| pair.key == "default")) else {
            return Ok(Body::None);
        };
        let answer = self.description.resolve(&pair.value, "responses");
        let answer = answer.ok_or("its answer stands in another document")?;
        get(answer, "content").map_or(Ok(Body::None), |content| json_of(content, "answers"))
    }

    /// Which entity stands where in a body.
    fn place(&mut self, schema: &'d Node, verb: &str) -> Result<(usize, String), String> {
        let shape = self.catalogue.body(schema);
        let (inner, arrays) = shape.innermost();
        let place = if arrays == 0 { "$" } else { "$[]" };
        if arrays > 1 {
            return Err(format!("{verb} arrays in arrays"));
        }
        let members = match inner {
            Shape::Object(members) => members.clone(),
            Shape::Entity(entity) => {
                self.catalogue.entity(*entity).map_or_else(Vec::new, |e| e.members.clone())
            }
            Shape::Scalar { .. } => return Err(format!("{verb} a bare value and no record")),
            Shape::Array(_) => Vec::new(),
            Shape::LeftOut(reason) => return Err(format!("{verb} what has no fields: {reason}")),
        };
        if let Some(found) = self.enveloped(&members, place) {
            return Ok(found);
        }
        let entity =
            if let Shape::Entity(entity) = inner { *entity } else { self.unnamed(members)? };
        Ok((entity, place.to_owned()))
    }

    /// The records in `{ items: [...], total: 3 }`, instead of the whole as one record.
    fn enveloped(&mut self, members: &[Member], place: &str) -> Option<(usize, String)> {
        let held = guess::envelope(members).filter(|_| place == "$")?;
        let (inner, arrays) = held.shape.innermost();
        let place = format!("$.{}{}", held.name, "[]".repeat(arrays));
        match inner {
            Shape::Entity(entity) => Some((*entity, place)),
            Shape::Object(members) => Some((self.unnamed(members.clone()).ok()?, place)),
            Shape::Scalar { .. } | Shape::Array(_) | Shape::LeftOut(_) => None,
        }
    }

    fn unnamed(&mut self, members: Vec<Member>) -> Result<usize, String> {
        let literal = |segment: &&str| !segment.is_empty() && !segment.contains('{');
        let wanted = self.path.rsplit('/').find(literal).unwrap_or("record");
        self.catalogue.unnamed(wanted, members).ok_or_else(|| "more than 255 entities".to_owned())
    }

    fn query(
        &self,
        returns: Option<&(usize, String)>,
        notes: &mut Vec<String>,
    ) -> Vec<(String, String)> {
        const QUERY_LIMIT: usize = 100;
        let mut query: Vec<(String, String)> = Vec::new();
        let entity = returns.and_then(|(entity, _)| self.catalogue.entity(*entity));
        let shared = get(self.item, "parameters").map_or(&[][..], items);
        let own = get(self.node, "parameters").map_or(&[][..], items);
        for parameter in own.iter().chain(shared) {
            let Some(parameter) = self.description.resolve(parameter, "parameters") else {
                continue;
            };
            let name = get(parameter, "name").and_then(text).unwrap_or("");
            let place = get(parameter, "in").and_then(text).unwrap_or("");
            let is_new = query.len() < QUERY_LIMIT && query.iter().all(|(known, _)| known != name);
            if place != "query" || name.is_empty() || name.chars().any(char::is_control) || !is_new
            {
                continue;
            }
            let field = || {
                let entity = entity?;
                Some(format!("{}.{}", entity.name, guess::searched(name, &entity.members)?))
            };
            match guess::parameter(name).map(str::to_owned).or_else(field) {
                Some(meaning) => query.push((name.to_owned(), meaning)),
                None => {
                    let required = get(parameter, "required").and_then(text) == Some("true");
                    let word = if required { "required parameter" } else { "parameter" };
                    notes.push(format!(
                        "the {word} `{}` is refused until `query` says what it means",
                        shown(name)
                    ));
                }
            }
        }
        query
    }
}

/// The JSON of a body's forms.
fn json_of<'d>(content: &'d Node, verb: &str) -> Result<Body<'d>, String> {
    let forms = pairs(content);
    if forms.is_empty() {
        return Ok(Body::None);
    }
    let is_json = |key: &str| {
        let key = key.split(';').next().unwrap_or("").trim().to_lowercase();
        key == "application/json"
            || key == "*/*"
            || (key.starts_with("application/") && key.ends_with("+json"))
    };
    let Some(pair) = forms.iter().find(|pair| is_json(&pair.key)) else {
        let first = forms.first().map_or("", |pair| pair.key.as_str());
        return Err(format!("{verb} {}, not JSON", shown(first)));
    };
    let schema = get(&pair.value, "schema");
    schema.map(Body::Json).ok_or_else(|| format!("{verb} JSON of no known form"))
}

/// For each change of a record the route over which it is read first, where there is one.
fn find_reads(routes: &mut [Route]) {
    let views: Vec<(String, usize, String)> = routes
        .iter()
        .filter(|route| route.method == "GET" && route.action == "view")
        .filter_map(|route| {
            let (entity, place) = route.returns.as_ref()?;
            (!place.contains("[]")).then(|| (route.path.clone(), *entity, route.name.clone()))
        })
        .collect();
    for route in routes.iter_mut().filter(|r| r.action == "update" || r.action == "delete") {
        let fits = |entity: usize| {
            route
                .accepts
                .as_ref()
                .is_none_or(|(taken, place)| *taken == entity && !place.contains("[]"))
        };
        let view = views.iter().find(|(path, entity, _)| *path == route.path && fits(*entity));
        if let Some((_, entity, name)) = view {
            route.reads = Some(name.clone());
            route.entities.push(*entity);
        }
    }
}

/// `{pet-id}` as `{pet_id}`: the names of parameters are letters, digits and `_`.
fn plain_parameters(path: &str) -> String {
    let mut inside = false;
    let plain = |c: char| {
        inside = (inside || c == '{') && c != '}';
        if inside && "-.".contains(c) { '_' } else { c }
    };
    path.chars().map(plain).collect()
}

/// A text of the description as a message may carry it.
pub(super) fn shown(text: &str) -> String {
    const LENGTH: usize = 100;
    one_line(text).chars().take(LENGTH).collect()
}
