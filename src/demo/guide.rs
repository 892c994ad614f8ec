//! What `menshen demo` prints: where everything is, who there is, and for each control a line to paste.
//!
//! Every line is run by a test exactly as it is printed.

use std::io::{self, Write};

use super::cast::{CAST, CUSTOMERS, HOST, Person};
use super::people::{self, FIRST_ID};
use super::stage::Stage;
use super::{DemoError, codes};

/// One control and how to see it at work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// What it shows.
    pub title: &'static str,
    /// What to paste into a shell, in the demo's folder.
    pub command: String,
    /// What comes back, in words.
    pub expect: &'static str,
    /// The status of its last answer; `None` where no request is made.
    pub status: Option<u16>,
}

/// The first words of every request: trust the demo's authority, and find the host on this machine.
struct Curl {
    base: String,
    site: String,
}

/// Prints the guide of a running demo. `program_folder` is where the `menshen` that runs it lies.
///
/// # Errors
/// [`DemoError::Print`], or another if the demo is not running.
pub fn print(stage: &Stage, program_folder: &str, out: &mut dyn Write) -> Result<(), DemoError> {
    places(stage, out).and_then(|()| cast(stage, out)).map_err(DemoError::Print)?;
    codes_now(stage, out)?;
    browser(stage, out).map_err(DemoError::Print)?;
    let paste = format!(
        "First, in another terminal:\n\n  cd '{}'\n  export PATH=\"{program_folder}:$PATH\"\n\n",
        stage.path().display()
    );
    out.write_all(paste.as_bytes()).map_err(DemoError::Print)?;
    for (number, control) in (1..).zip(controls(stage)) {
        one(number, &control, out).map_err(DemoError::Print)?;
    }
    let end = if stage.is_kept() { "stays" } else { "is removed" };
    writeln!(out, "Ctrl-C ends the demo; its folder {end}.")
        .and_then(|()| out.flush())
        .map_err(DemoError::Print)
}

fn places(stage: &Stage, out: &mut dyn Write) -> io::Result<()> {
    let folder = stage.path().display();
    let address = stage.address().map(|address| address.to_string()).unwrap_or_default();
    let port = stage.address().map_or(0, |address| address.port());
    write!(
        out,
        "menshen demo: a bank of {CUSTOMERS} invented customers, behind the gate

  gate       https://{HOST}:{port}/ on {address}
  folder     {folder}
  CA file    {folder}/ca.pem
  policies   {folder}/policies
  log        {folder}/log

"
    )
}

fn cast(stage: &Stage, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "Accounts\n")?;
    for Person { name, password, about, .. } in CAST {
        writeln!(out, "  {name:<9} {password:<18} {about}")?;
    }
    let Some(enrolment) = stage.enrolment("li.na") else { return Ok(()) };
    writeln!(
        out,
        "\nOne-time codes: `menshen demo code ACCOUNT` prints the current one. A code works once, the next\n\
         comes within 30 s. Or put li.na into an authenticator app:\n\n{}\n{}\n",
        enrolment.qr_terminal.expose(),
        enrolment.uri.expose()
    )
}

fn codes_now(stage: &Stage, out: &mut dyn Write) -> Result<(), DemoError> {
    let now_s = stage.clock().unix_s();
    let (mut line, mut seconds_left) = (String::new(), 0);
    for person in &CAST {
        let code = codes::current(stage.path(), person.name, now_s)?;
        seconds_left = code.seconds_left;
        line.push_str(&format!("  {} {}", person.name, code.digits));
    }
    writeln!(out, "Codes for the next {seconds_left} s:\n\n{line}\n").map_err(DemoError::Print)
}

/// How a person sees all three levels of assurance with their own eyes.
fn browser(stage: &Stage, out: &mut dyn Write) -> io::Result<()> {
    let Some(address) = stage.address() else { return Ok(()) };
    let site = format!("https://{HOST}:{}", address.port());
    write!(
        out,
        "In a browser: password, one-time code and passkey, each of which shows more

  cd '{folder}'
  chromium --user-data-dir=browser --host-resolver-rules='MAP {HOST} {ip}' \\
     --ignore-certificate-errors-spki-list={hash} \\
     '{site}/.menshen/login'

  Sign in as zhao.lei, password plum-rain-in-june. Then, each time for the purpose `risk`, look at
     {site}/api/customers/{FIRST_ID}
  1. With the password:      the name in clear; phone, birth date and identity number masked
  2. With a one-time code:   at {site}/.menshen/session, link \"Show a one-time code\",
                             `menshen demo code zhao.lei`; then phone and birth date are in clear
  3. With a passkey:         on the same page register one, then \"Use a passkey\"; then the identity
                             number is in clear as well, for five minutes

  Where the machine has no fingerprint reader or key: DevTools (F12), WebAuthn, enable a virtual
  authenticator with resident keys and user verification. The profile in ./browser trusts this demo's
  authority, no other does. For another browser, add `{ip} {HOST}` to the hosts file and
  import ca.pem.

",
        folder = stage.path().display(),
        ip = address.ip(),
        hash = stage.ca_key_hash(),
    )
}

fn one(number: u32, control: &Control, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{number:>2}. {}\n", control.title)?;
    for line in control.command.lines() {
        writeln!(out, "  {line}")?;
    }
    writeln!(out, "\n    → {}\n", control.expect)
}

/// All controls in the order in which they are to be tried.
#[must_use]
pub fn controls(stage: &Stage) -> Vec<Control> {
    let Some(address) = stage.address() else { return Vec::new() };
    let (ip, port) = (address.ip(), address.port());
    let ip = if address.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
    let curl = Curl {
        base: format!("curl -i -w '\\n' --cacert ca.pem --resolve {HOST}:{port}:{ip}"),
        site: format!("https://{HOST}:{port}"),
    };
    let mut all = signing_in(&curl);
    all.extend(seeing(&curl));
    all.extend(searching(&curl));
    all.extend(changing(&curl));
    all.extend(exporting(&curl));
    all.extend(counting(&curl));
    all.extend(calling(&curl));
    all.extend(reviewing());
    all
}

impl Curl {
    /// A request as `account`, whose session lies in its cookie jar.
    fn by(&self, account: &str, options: &str, path: &str) -> String {
        let Self { base, site } = self;
        let options =
            if options.is_empty() { String::new() } else { format!("{options} \\\n     ") };
        format!("{base} -b {account}.jar \\\n     {options}'{site}{path}'")
    }

    fn get(&self, account: &str, purpose: &str, path: &str) -> String {
        self.by(account, &format!("-H 'Menshen-Purpose: {purpose}'"), path)
    }

    fn patch(&self, account: &str, path: &str, body: &str) -> String {
        let options = format!(
            "-X PATCH -H 'Menshen-Purpose: service' -H 'Content-Type: application/json' \\\n     -d '{body}'"
        );
        self.by(account, &options, path)
    }

    fn password(&self, person: &Person) -> String {
        let Self { base, site } = self;
        let Person { name, password, .. } = person;
        format!(
            "{base} -c {name}.jar \\\n     -H 'Content-Type: application/json' \
             -d '{{\"account\":\"{name}\",\"password\":\"{password}\"}}' \\\n     '{site}/.menshen/login'"
        )
    }

    /// The code is presented in the session of the jar, which gets a new cookie.
    fn code(&self, account: &str) -> String {
        let options = format!(
            "-c {account}.jar -H 'Content-Type: application/json' \\\n     \
             -d \"{{\\\"code\\\":\\\"$(menshen demo code {account})\\\"}}\""
        );
        self.by(account, &options, "/.menshen/code")
    }
}

fn control(title: &'static str, command: String, status: u16, expect: &'static str) -> Control {
    Control { title, command, expect, status: Some(status) }
}

/// A customer of the cast's branch, by what is printed about them.
fn path(id: u64) -> String {
    format!("/api/customers/{id}")
}

fn signing_in(curl: &Curl) -> Vec<Control> {
    let [teller, ..] = &CAST;
    let nobody = format!("{} \\\n     '{}{}'", curl.base, curl.site, path(FIRST_ID));
    vec![
        control("Nothing without a credential", nobody, 401, "401, asks for a credential"),
        control("Sign in", curl.password(teller), 200, "200, assurance 1; a code is next"),
        control("Show the code", curl.code(teller.name), 200, "200, assurance 2 and a new cookie"),
    ]
}

fn seeing(curl: &Curl) -> Vec<Control> {
    let view = |purpose, id| curl.get("li.na", purpose, &path(id));
    vec![
        control(
            "View a customer of the own branch",
            view("service", FIRST_ID),
            200,
            "200: name in clear, phone masked; no balance, note, password_hash, internal_score",
        ),
        control(
            "Without a purpose",
            curl.by("li.na", "", &path(FIRST_ID)),
            403,
            "403, names the purposes that would do",
        ),
        control(
            "A customer of another branch",
            view("service", FIRST_ID + 1),
            404,
            "404, in the same words as a customer who does not exist (try 999999)",
        ),
        control(
            "A path that nobody published",
            curl.get("li.na", "service", "/api/staff"),
            404,
            "404, and the backend was not asked",
        ),
        control(
            "A parameter that nobody declared",
            curl.get("li.na", "service", &format!("{}?fields=all", path(FIRST_ID))),
            400,
            "400, names the parameter",
        ),
    ]
}

fn searching(curl: &Curl) -> Vec<Control> {
    let phone = people::customer(0).phone;
    let search = |query: &str| curl.get("li.na", "service", &format!("/api/customers?{query}"));
    vec![
        control(
            "List the customers of the own branch",
            search("branch=sh01&per_page=5"),
            200,
            "200, five customers; the total is withheld",
        ),
        control(
            "List everybody: rows of other branches are taken out",
            search("per_page=10"),
            200,
            "200, two of the ten",
        ),
        control(
            "Search by a field that is masked",
            search(&format!("phone={phone}")),
            403,
            "403: what you may not see, you may not search by",
        ),
        control("Sort by a field that is masked", search("sort=phone"), 403, "403, likewise"),
    ]
}

fn changing(curl: &Curl) -> Vec<Control> {
    let change = |id, body: &str| curl.patch("li.na", &path(id), body);
    vec![
        control(
            "Correct a telephone number",
            change(FIRST_ID, r#"{"phone":"13900001234"}"#),
            200,
            "200, the new number comes back masked",
        ),
        control(
            "Write the masked form back",
            change(FIRST_ID, r#"{"phone":"139****1234"}"#),
            400,
            "400, the stored number is not spoilt",
        ),
        control(
            "Write a field that nobody declared",
            change(FIRST_ID, r#"{"internal_score":999}"#),
            400,
            "400",
        ),
        control(
            "Change a customer of another branch",
            change(FIRST_ID + 1, r#"{"phone":"13900001234"}"#),
            404,
            "404, the customer was read, held against the policy and left alone",
        ),
    ]
}

fn exporting(curl: &Curl) -> Vec<Control> {
    let [.., supervisor, _, _] = &CAST;
    let export = |options: &str| {
        let options = format!("-H 'Menshen-Purpose: risk'{options}");
        curl.by(supervisor.name, &options, "/api/customers/export")
    };
    let export_to_file =
        format!("{}\ngrep -o '\"id\":' export.json | wc -l", export(" -D - -o export.json"));
    let export_to_file = export_to_file.replacen("curl -i", "curl -s", 1);
    vec![
        control(
            "A supervisor with the password only",
            curl.password(supervisor),
            200,
            "200, assurance 1",
        ),
        control(
            "Export asks for a code",
            export(""),
            401,
            "401 insufficient_user_authentication, acr_values=\"2\", max_age=900 (RFC 9470)",
        ),
        control("Show the code", curl.code(supervisor.name), 200, "200, assurance 2"),
        control(
            "Export all customers, masked",
            export_to_file,
            200,
            "200 and 2000 records; look into export.json",
        ),
    ]
}

fn counting(curl: &Curl) -> Vec<Control> {
    let page = curl.get("li.na", "service", "/api/customers?branch=sh01&per_page=20&page=");
    let page = page.strip_suffix('\'').unwrap_or(&page);
    vec![
        control(
            "The limit on people: 40 different customers an hour",
            format!("for page in 1 2 3; do\n{page}'$page\ndone"),
            429,
            "200, 200, then 429 with Retry-After and RateLimit",
        ),
        control(
            "A customer already seen costs nothing",
            curl.get("li.na", "service", &path(FIRST_ID)),
            200,
            "200; a restart of the gate would not refill the rest",
        ),
    ]
}

fn calling(curl: &Curl) -> Vec<Control> {
    let Curl { base, site } = curl;
    let orders = |token: &str| {
        format!(
            "{base} \\\n     -H \"Authorization: Bearer $(cat {token})\" -H 'Menshen-Purpose: service' \\\n     \
             '{site}{}/orders'",
            path(FIRST_ID + 1)
        )
    };
    vec![
        control(
            "A partner's program reads orders with a bearer token",
            orders("partner.token"),
            200,
            "200: where to deliver, the phone masked, no amounts",
        ),
        control(
            "The same claims without a signature (alg none)",
            orders("unsigned.token"),
            401,
            "401 invalid_token",
        ),
    ]
}

fn reviewing() -> Vec<Control> {
    let offline = |title, command: &str, expect| Control {
        title,
        command: command.to_owned(),
        expect,
        status: None,
    };
    vec![
        offline(
            "The reviewer: who saw this customer?",
            "menshen log show log --key master.key --subject customer:1001",
            "each access: who, when, from where, for what, which fields clear and which masked",
        ),
        offline(
            "What did li.na do?",
            "menshen log show log --key master.key --actor li.na --last 5",
            "her last five requests, refused ones too",
        ),
        offline(
            "Is the log whole and unaltered?",
            "menshen log verify log",
            "ok; change one byte of a copy and it says which entry",
        ),
        offline(
            "Why? The same policy files, asked without the gate",
            "menshen explain --policies policies --role supervisor --attr branch=sh01 \\\n     \
             --assurance 1 --purpose complaint 'GET bank.example/api/customers/1001'",
            "every stage, every rule, every field, and what would show more",
        ),
    ]
}
