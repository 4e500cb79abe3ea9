//! Requests: the rows of an `http.log`. What a row leaves open is not compared, and of a URI only the path.

use super::{Log, Row, ends};
use crate::corpus::Capture;
use crate::records::Request;
use crate::report::{Difference, Reason, Tally};

/// Compares the requests of the logs that are named with a capture.
pub fn add(capture: &Capture, logs: &[Log], tally: &mut Tally) {
    for log in logs.iter().filter(|log| log.has("trans_depth")) {
        tally.captures += 1;
        let mut ours: Vec<&Request> = capture.records().requests.iter().collect();
        for row in &log.rows {
            let Some(request) = request(row) else { continue };
            let name = format!("{} ({})", capture.name, log.name);
            if request.method.is_none() {
                tally.left_out.push(Difference {
                    capture: name,
                    theirs: told(&request),
                    ours: "none".to_owned(),
                    reason: Reason::Definition("a response to what is no request"),
                });
                continue;
            }
            tally.rows += 1;
            if let Some(place) = ours.iter().position(|our| agrees(&request, our)) {
                ours.remove(place);
                tally.matched += 1;
                continue;
            }
            tally.differences.push(Difference {
                capture: name,
                theirs: told(&request),
                ours: ours
                    .iter()
                    .find(|our| our.ends == request.ends)
                    .map_or("none".to_owned(), |our| told(our)),
                reason: reason(&request, row),
            });
        }
    }
}

/// Why a request of theirs is none of ours.
fn reason(request: &Request, row: &Row) -> Reason {
    if request.path.is_none() || row.get("version").is_some_and(|version| version == "0.9") {
        return Reason::Definition(
            "a request line without a path or a version, which HTTP/0.9 has for GET alone",
        );
    }
    Reason::Ours("no such request")
}

fn request(row: &Row) -> Option<Request> {
    let cell = |name: &str| row.get(name).filter(|cell| !matches!(cell.as_str(), "-" | "(empty)")).cloned();
    Some(Request {
        ends: ends(row)?,
        method: cell("method"),
        host: cell("host"),
        path: cell("uri").map(|uri| path_of(&uri).to_owned()),
        status: cell("status_code").and_then(|status| status.parse().ok()).filter(|status| *status > 0),
    })
}

/// A URI without its query.
fn path_of(uri: &str) -> &str {
    uri.split('?').next().unwrap_or_default()
}

fn agrees(theirs: &Request, ours: &Request) -> bool {
    fn fits<T: PartialEq>(theirs: Option<&T>, ours: Option<&T>) -> bool {
        theirs.is_none() || theirs == ours
    }
    theirs.ends == ours.ends
        && fits(theirs.method.as_ref(), ours.method.as_ref())
        && fits(theirs.host.as_ref(), ours.host.as_ref())
        && fits(theirs.path.as_ref(), ours.path.as_ref())
        && fits(theirs.status.as_ref(), ours.status.as_ref())
}

/// A request without its host and path, which are words of others.
fn told(request: &Request) -> String {
    let [(client, port), (server, server_port)] = request.ends;
    let method = request.method.as_deref().unwrap_or("no method");
    let status = request.status.map_or("no status".to_owned(), |status| status.to_string());
    let host = request.host.as_deref().map_or(0, str::len);
    let path = request.path.as_deref().map_or(0, str::len);
    format!(
        "{client}:{port} → {server}:{server_port} {method}, host of {host} bytes, path of {path} bytes, {status}"
    )
}
