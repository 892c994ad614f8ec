//! A client of ICAP (RFC 3507): one file, one connection. `204 No Content` is the one answer that means
//! clean: it says that nothing need be changed. A 200 brings something else in the file's place.

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufWriter};
use tokio::net::TcpStream;

use super::{IcapService, ScanError, Verdict};

const HEAD_LIMIT: usize = 16 * 1024;
const CHUNK_BYTES: usize = 64 * 1024;
const LONGEST_FINDING: usize = 64;
/// What services call the headers that name what they found.
const FINDINGS: [&str; 4] =
    ["x-infection-found", "x-virus-id", "x-violations-found", "x-virus-name"];

/// Sends the file and reads the verdict.
pub(super) async fn ask(
    service: &IcapService,
    file: &Bytes,
    media_type: &str,
) -> Result<Verdict, ScanError> {
    let mut stream = TcpStream::connect((service.host.as_str(), service.port)).await?;
    let (mut reader, writer) = stream.split();
    let mut writer = BufWriter::with_capacity(CHUNK_BYTES, writer);
    let sending = async {
        writer.write_all(head(service, file.len(), media_type).as_bytes()).await?;
        for piece in file.chunks(CHUNK_BYTES) {
            writer.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
            writer.write_all(piece).await?;
            writer.write_all(b"\r\n").await?;
        }
        writer.write_all(b"0\r\n\r\n").await?;
        writer.flush().await
    };
    let reading = read_head(&mut reader);
    tokio::pin!(sending, reading);
    // Whoever refuses a file may do so before having all of it, and close.
    let (is_sent, head) = tokio::select! {
        biased;
        head = &mut reading => (false, head?),
        sent = &mut sending => (sent.is_ok(), reading.await?),
    };
    match (verdict(&head)?, is_sent) {
        (Verdict::Clean, false) => Err(ScanError::TooEarly),
        (verdict @ (Verdict::Clean | Verdict::Found(_)), _) => Ok(verdict),
    }
}

/// The head of the request, with the head of the HTTP message that the file is said to be of.
fn head(service: &IcapService, length: usize, media_type: &str) -> String {
    let IcapService { host, port, path, as_requests } = service;
    let entity = format!("Content-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n");
    let (method, heads, places) = if *as_requests {
        let request = format!("POST /upload HTTP/1.1\r\nHost: upload.invalid\r\n{entity}");
        let places = format!("req-hdr=0, req-body={}", request.len());
        ("REQMOD", request, places)
    } else {
        let request = "GET /upload HTTP/1.1\r\nHost: upload.invalid\r\n\r\n";
        let response = format!("HTTP/1.1 200 OK\r\n{entity}");
        let (at, end) = (request.len(), request.len() + response.len());
        let places = format!("req-hdr=0, res-hdr={at}, res-body={end}");
        ("RESPMOD", format!("{request}{response}"), places)
    };
    format!(
        "{method} icap://{host}:{port}{path} ICAP/1.0\r\nHost: {host}:{port}\r\nUser-Agent: menshen\r\n\
         Allow: 204\r\nConnection: close\r\nEncapsulated: {places}\r\n\r\n{heads}"
    )
}

/// Reads up to the empty line.
async fn read_head(reader: &mut (impl tokio::io::AsyncRead + Unpin)) -> Result<String, ScanError> {
    let mut head = Vec::new();
    loop {
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            head.truncate(end);
            return String::from_utf8(head).map_err(|_not_text| ScanError::Malformed);
        }
        if head.len() >= HEAD_LIMIT || reader.read_buf(&mut head).await? == 0 {
            return Err(ScanError::Malformed);
        }
    }
}

fn verdict(head: &str) -> Result<Verdict, ScanError> {
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("ICAP/1.0 "));
    let status = status.and_then(|rest| rest.get(..3)?.parse::<i32>().ok());
    match status.ok_or(ScanError::Malformed)? {
        204 => Ok(Verdict::Clean),
        200 | 201 => {
            let headers = lines.filter_map(|line| line.split_once(':'));
            let mut findings = headers
                .filter(|(name, _)| FINDINGS.contains(&name.trim().to_ascii_lowercase().as_str()));
            let finding = findings.next().map_or("", |(_, value)| value.trim());
            let plain = finding.chars().filter(|c| c.is_ascii_graphic() || *c == ' ');
            Ok(Verdict::Found(plain.take(LONGEST_FINDING).collect()))
        }
        other => Err(ScanError::NoVerdict(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_no_content_is_clean() {
        assert_eq!(verdict("ICAP/1.0 204 No Content\r\nISTag: x").unwrap(), Verdict::Clean);
        let found = verdict("ICAP/1.0 200 OK\r\nX-Infection-Found: Type=0; Threat=Eicar;").unwrap();
        assert_eq!(found, Verdict::Found("Type=0; Threat=Eicar;".to_owned()));
        assert_eq!(verdict("ICAP/1.0 200 OK").unwrap(), Verdict::Found(String::new()));
        for none in ["ICAP/1.0 404 x", "ICAP/1.0 500 x", "ICAP/1.0 100 Continue"] {
            assert!(matches!(verdict(none), Err(ScanError::NoVerdict(_))), "{none}");
        }
        for odd in ["HTTP/1.1 204 x", "ICAP/1.0 ", "", "204"] {
            assert!(matches!(verdict(odd), Err(ScanError::Malformed)), "{odd}");
        }
    }

    #[test]
    fn the_places_of_the_parts_are_told_to_the_byte() {
        let service = |as_requests| IcapService {
            host: "av".to_owned(),
            port: 1344,
            path: "/scan".to_owned(),
            as_requests,
        };
        for (as_requests, method) in [(false, "RESPMOD"), (true, "REQMOD")] {
            let text = head(&service(as_requests), 5, "application/pdf");
            assert!(text.starts_with(&format!("{method} icap://av:1344/scan ICAP/1.0\r\n")));
            let (icap, inner) = text.split_once("\r\n\r\n").unwrap();
            let end = icap.rsplit('=').next().unwrap().parse::<usize>().unwrap();
            assert_eq!(end, inner.len());
        }
    }
}
